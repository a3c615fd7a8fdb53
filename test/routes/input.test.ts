import * as fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import type { Contract, Described } from "../../src/http/contract.ts"
import { kContract } from "../../src/http/contract.ts"
import { fromBase64Url, toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import {
  type Caller,
  newCaller,
  newProject,
  newTask,
  pageIn,
  pointersIn,
  problemIn,
  sharedApp,
} from "../support/caller.ts"

// What every route owes to whoever calls it wrongly. The routes are read off the app, so a new one cannot be forgotten.

type Endpoint = { method: string; path: string; contracts: Contract[] }

let ada: Caller
let eve: Caller
let endpoints: Endpoint[]
let names: Record<string, string>

beforeAll(async () => {
  ada = await newCaller()
  eve = await newCaller()
  const task = await newTask(ada)
  const other = await newTask(ada)
  const project = await newProject(ada)
  const comment = await ada.post(`/api/v1/tasks/${task.id}/comments`, { body: "x" })
  const { id: commentId } = (await comment.json()) as { id: string }
  const key = await ada.post("/api/v1/api-keys", { name: "Deploy", scopes: ["task:read"] })
  const { id: keyId } = (await key.json()) as { id: string }
  const invitation = await ada.post("/api/v1/invitations", { email: "eve@example.com", role: "member" })
  const { id: invitationId } = (await invitation.json()) as { id: string }
  const label = (await (await ada.post("/api/v1/labels", { name: "bug" })).json()) as { id: string }
  const webhook = await ada.post("/api/v1/webhooks", { url: "http://127.0.0.1:9/", events: ["workspace.restored"] })
  const { id: webhookId } = (await webhook.json()) as { id: string }
  names = {
    webhookId,
    seq: "1",
    labelId: label.id,
    idOrKey: task.id,
    kind: "relates",
    otherIdOrKey: other.id,
    invitationId,
    projectId: project.id,
    workspaceId: ada.workspaceId,
    userId: ada.userId,
    commentId,
    emoji: "%F0%9F%91%8D",
    reminderId: "rem_01j00000000000000000000000",
    sessionId: "ses_01j00000000000000000000000",
    keyId,
    name: "x",
  }
  const { hono } = await sharedApp()
  const described = hono.routes.flatMap(({ method, path, handler }) => {
    const contract = (handler as Described)[kContract]
    return contract ? [{ method, path, contract }] : []
  })
  endpoints = [...Map.groupBy(described, ({ method, path }) => `${method} ${path}`).values()].map((group) => ({
    method: group[0]?.method ?? "",
    path: group[0]?.path ?? "",
    contracts: group.map(({ contract }) => contract),
  }))
})

/** What an endpoint takes, where an empty object is not enough. */
const bodies: Record<string, object> = {
  "POST /api/v1/tasks/:idOrKey/reminders": { before: "PT30M" },
  "POST /api/v1/tasks/:idOrKey/comments": { body: "x" },
  "PATCH /api/v1/comments/:commentId": { body: "x" },
  "PUT /api/v1/projects/:projectId/members/:userId": { level: "view" },
  "PUT /api/v1/workspaces/:workspaceId/owner": { userId: "usr_01j00000000000000000000000" },
  "PUT /api/v1/tasks/:idOrKey/project": { projectId: "prj_01j00000000000000000000000" },
  "PUT /api/v1/tasks/:idOrKey/position": { after: "tsk_01j00000000000000000000000" },
  "PATCH /api/v1/members/:userId": { role: "member" },
  "POST /api/v1/webhooks/:webhookId/replays": { fromSeq: 1, toSeq: 2 },
  "PUT /api/v1/labels/:labelId/merger": { into: "lbl_01j00000000000000000000000" },
}

const pathOf = ({ path }: Endpoint) => path.replaceAll(/:(\w+)/g, (_, name: string) => names[name] ?? name)
const nameOf = ({ method, path }: Endpoint) => `${method} ${path}`
const isPublic = ({ contracts }: Endpoint) =>
  contracts.some((contract) => contract.kind === "operation" && contract.isPublic)
const takes = (target: string) => (endpoint: Endpoint) =>
  endpoint.contracts.some((contract) => contract.kind === "input" && contract.target === target)

const send = async (
  caller: Caller,
  endpoint: Endpoint,
  body: BodyInit | undefined,
  headers: Record<string, string> = {},
) =>
  caller.app.fetch(pathOf(endpoint), {
    method: endpoint.method,
    headers: { authorization: `Bearer ${caller.accessToken}`, "cf-connecting-ip": crypto.randomUUID(), ...headers },
    ...(body !== undefined && { body }),
  })

const json = { "content-type": "application/json" }

/** JSON of which one string holds a byte that no UTF-8 text can have. */
function brokenBytes(before: string, after: string): Uint8Array<ArrayBuffer> {
  const parts = [new TextEncoder().encode(before), new Uint8Array([0xc3, 0x28, 0xff]), new TextEncoder().encode(after)]
  return new Uint8Array(parts.flatMap((part) => [...part]))
}

describe("every route", () => {
  it("is known to this test", () => {
    expect(endpoints.length).toBeGreaterThanOrEqual(27)
  })

  it("that is not public answers 401 with WWW-Authenticate to whoever has no token", async () => {
    const closed = endpoints.filter((endpoint) => !isPublic(endpoint))
    expect(closed.length).toBeGreaterThanOrEqual(19)
    for (const endpoint of closed) {
      // Each from elsewhere: there are more routes than one network may try without a token.
      const headers = { "cf-connecting-ip": crypto.randomUUID() }
      const answer = await (await sharedApp()).fetch(pathOf(endpoint), { method: endpoint.method, headers })
      expect((await problemIn(answer, 401)).code, nameOf(endpoint)).toBe("unauthenticated")
      expect(answer.headers.get("www-authenticate"), nameOf(endpoint)).toBe('Bearer realm="edgewise"')
    }
  })

  it("that names a row does not know it in another workspace", async () => {
    const named = endpoints.filter(({ path }) => /:/.test(path) && !path.startsWith("/docs"))
    expect(named.length).toBeGreaterThanOrEqual(19)
    for (const endpoint of named) {
      const body = JSON.stringify(bodies[nameOf(endpoint)] ?? {})
      const answer = await send(eve, endpoint, takes("json")(endpoint) ? body : undefined, json)
      expect((await problemIn(answer, 404)).code, nameOf(endpoint)).toBe("not_found")
    }
  })

  it("that takes a body refuses what is not JSON with 400", async () => {
    for (const endpoint of endpoints.filter(takes("json"))) {
      for (const body of ["{", "", "undefined", '{"a":1}}', "[1,", '"\\x"']) {
        expect((await problemIn(await send(ada, endpoint, body, json), 400)).code, nameOf(endpoint)).toBe("malformed")
      }
    }
  })

  it("that takes a body refuses another media type with 415", async () => {
    for (const endpoint of endpoints.filter(takes("json"))) {
      for (const type of [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonish",
        "multipart/form-data; boundary=x",
      ]) {
        const answer = await send(ada, endpoint, "{}", { "content-type": type })
        expect((await problemIn(answer, 415)).code, nameOf(endpoint)).toBe("unsupported_media_type")
      }
    }
  })

  it("that takes a body refuses what is no object, and a field that it does not know, with 422", async () => {
    for (const endpoint of endpoints.filter(takes("json"))) {
      for (const body of ["null", "[]", "7", '"text"', "true"]) {
        expect((await problemIn(await send(ada, endpoint, body, json), 422)).code, nameOf(endpoint)).toBe(
          "invalid_input",
        )
      }
      expect(await pointersIn(await send(ada, endpoint, '{"a/b~c":1}', json)), nameOf(endpoint)).toContain("/a~1b~0c")
    }
  })

  it("that takes a body refuses one that is too large with 413, declared or streamed", async () => {
    const large = JSON.stringify({ title: "x".repeat(1_100_000) })
    for (const endpoint of endpoints.filter(takes("json"))) {
      expect((await problemIn(await send(ada, endpoint, large, json), 413)).code, nameOf(endpoint)).toBe("too_large")
      const answer = await send(ada, endpoint, new Blob([large]).stream(), json)
      expect((await problemIn(answer, 413)).code, nameOf(endpoint)).toBe("too_large")
    }
  })

  it("that takes a query refuses a parameter that it does not know, and one that is there twice", async () => {
    for (const endpoint of endpoints.filter(takes("query"))) {
      const unknown = { ...endpoint, path: `${endpoint.path}?colour=red` }
      expect(await pointersIn(await send(ada, unknown, undefined)), nameOf(endpoint)).toEqual(["?colour"])
      if (endpoint.path.includes(":idOrKey")) continue
      const twice = { ...endpoint, path: `${endpoint.path}?limit=1&limit=2` }
      expect(await pointersIn(await send(ada, twice, undefined)), nameOf(endpoint)).toEqual(["?limit"])
    }
  })

  it("answers 405 with Allow to another method, and 404 where there is nothing", async () => {
    const answer = await ada.put("/api/v1/tasks")
    expect((await problemIn(answer, 405)).code).toBe("method_not_allowed")
    expect(answer.headers.get("allow")).toBe("GET, POST")
    await problemIn(await ada.get("/api/v1/nothing"), 404)
    await problemIn(await ada.get("/nothing"), 404)
  })

  it("never answers 500, whatever JSON it gets", async () => {
    const nasty: unknown[] = [
      { title: { $gt: "" } },
      { tasks: [null] },
      { tasks: Array.from({ length: 200 }, () => 1) },
      { projectId: "prj_zzzzzzzzzzzzzzzzzzzzzzzzzz", title: "\ud800" },
      { revision: -1 },
      { revision: 1e308 },
      { revision: Number.MAX_SAFE_INTEGER + 2 },
      { email: "\u0000@x.y", password: "\ud800".repeat(9), name: "\u0000" },
      { refreshToken: `ewr_${"x".repeat(400)}` },
      { ["__proto__"]: { admin: true } },
      { due: { at: "9999-12-31T23:59:59.999+14:00" }, title: "x", projectId: ada.inboxId },
      { due: { date: "9999-12-31" }, title: "x", projectId: ada.inboxId },
    ]
    for (const endpoint of endpoints.filter(takes("json"))) {
      for (const body of nasty) {
        const answer = await send(ada, endpoint, JSON.stringify(body), json)
        expect(answer.status, `${nameOf(endpoint)} ${JSON.stringify(body)}`).toBeLessThan(500)
      }
    }
  })
})

describe("a problem", () => {
  it("names the request, which the log knows too, and its headers survive", async () => {
    const answer = await ada.get("/api/v1/tasks/none")
    const problem = await problemIn(answer, 404)
    const requestId = answer.headers.get("x-request-id")
    expect(problem).toMatchObject({
      type: "urn:edgewise:problem:not_found",
      title: "Not found",
      status: 404,
      code: "not_found",
    })
    expect(problem.instance).toBe(`urn:edgewise:request:${requestId}`)
    expect(answer.headers.get("cache-control")).toBe("no-store")
    expect(answer.headers.get("access-control-allow-origin")).toBe("*")
    expect(ada.app.lines.at(-1)).toMatchObject({
      requestId,
      status: 404,
      problem: "not_found",
      route: "/api/v1/tasks/:idOrKey",
    })
  })
})

describe("what no database could keep", () => {
  const create = (body: BodyInit, headers = {}) =>
    ada.app.fetch("/api/v1/tasks", {
      method: "POST",
      headers: { ...json, authorization: `Bearer ${ada.accessToken}`, ...headers },
      body,
    })
  const projectId = () => `"projectId":"${ada.inboxId}"`

  it("is 422 with the field: bytes that are not UTF-8, with a key and without", async () => {
    const title = () => brokenBytes(`{${projectId()},"title":"cut `, ' off"}')
    expect(await pointersIn(await create(title()))).toEqual(["/title"])
    expect(await pointersIn(await create(title(), { "idempotency-key": "broken" }))).toEqual(["/title"])
    const nested = brokenBytes(`{${projectId()},"title":"x","due":{"date":"`, '"}}')
    expect(await pointersIn(await create(nested))).toEqual(["/due/date"])
    expect(await pointersIn(await create(brokenBytes('{"', '":1}')))).toEqual([""])
    await problemIn(await create(brokenBytes("{} ", "")), 400)
  })

  it("is 422 or 400, and named in part, however deep or many the broken strings are", async () => {
    const deep = brokenBytes(`${"[".repeat(50_000)}"`, `"${"]".repeat(50_000)}`)
    const many = brokenBytes(`["`, `"${',"\uFFFD"'.repeat(150_000)}]`)
    for (const body of [deep, many]) {
      const path = "/api/v1/tasks/bulk"
      const headers = { ...json, authorization: `Bearer ${ada.accessToken}` }
      const answer = await ada.app.fetch(path, { method: "POST", headers, body })
      expect([400, 422]).toContain(answer.status)
      expect((await answer.text()).length).toBeLessThan(2_000_000)
    }
    const wide = brokenBytes(`{"a":"`, `"${Array.from({ length: 100 }, (_, n) => `,"f${n}":"\uFFFD"`).join("")}}`)
    expect((await pointersIn(await create(wide))).length).toBe(20)
  })

  it("is kept when it is the character that stands for such bytes, sent as itself", async () => {
    const answer = await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "\uFFFD" })
    expect(await answer.json()).toMatchObject({ title: "\uFFFD" })
  })

  it("is 422 with the field: NUL, half a character, numbers and dates beyond all bounds", async () => {
    const valid = { projectId: ada.inboxId, title: "x" }
    const wrong: [string, Record<string, unknown>][] = [
      ["/title", { title: "a\u0000b" }],
      ["/title", { title: "\ud800" }],
      ["/description", { description: "\u0000" }],
      ["/position", { position: "a0\u0000" }],
      ["/priority", { priority: 1e300 }],
      ["/priority", { priority: 9_223_372_036_854_776_000 }],
      ["/due/at", { due: { at: "+275760-09-13T00:00:00.001Z" } }],
      ["/due/at", { due: { at: "0000-01-01T00:00:00Z" } }],
      ["/due/date", { due: { date: "9999-99-99" } }],
      ["/start/date", { start: { date: "-271821-04-20" } }],
    ]
    for (const [pointer, fields] of wrong) {
      const pointers = await pointersIn(await ada.post("/api/v1/tasks", { ...valid, ...fields }))
      expect(
        pointers.some((told) => told.startsWith(pointer.replace(/\/(at|date)$/, ""))),
        pointer,
      ).toBe(true)
    }
    const task = await newTask(ada)
    for (const revision of [1e300, 2 ** 53, -1, 1.5]) {
      expect(await pointersIn(await ada.patch(`/api/v1/tasks/${task.id}`, { priority: 1, revision }))).toEqual([
        "/revision",
      ])
    }
  })

  it("is accepted to the last day that can be named", async () => {
    const days = [{ date: "9999-12-31" }, { date: "1000-01-01" }, { at: "9999-12-31T23:59:59.999Z" }]
    for (const due of days) expect((await newTask(ada, { due })).due).toEqual(due)
  })

  it("is 422 in a query and 404 in a path, never an error of the database", async () => {
    const queries = ["after=1e300", "after=9223372036854775808", "after=-1", "after=%00", "after=%FF"]
    for (const query of queries) {
      const pointers = await pointersIn(await ada.get(`/api/v1/events?${query}`))
      expect([...new Set(pointers)], query).toEqual(["?after"])
    }
    for (const name of ["project", "parent", "assignee", "label", "cursor", "status", "dueBefore", "updatedAfter"]) {
      for (const value of ["%00", "%FF", "%ED%A0%80", "1e300"]) {
        const pointers = await pointersIn(await ada.get(`/api/v1/tasks?${name}=${value}`))
        expect([...new Set(pointers)], `${name}=${value}`).toEqual([`?${name}`])
      }
    }
    for (const id of ["%00", "%FF", "WEB-99999999999999999999", "tsk_%00"]) {
      await problemIn(await ada.get(`/api/v1/tasks/${id}`), 404)
      await problemIn(await ada.get(`/api/v1/projects/${id}`), 404)
    }
  })

  it("is 422 in a cursor that was made up, whatever place it names", async () => {
    const { next } = await pageIn(await ada.get("/api/v1/tasks?sort=updated&limit=1"))
    const [mark] = JSON.parse(new TextDecoder().decode(fromBase64Url(next ?? "") ?? new Uint8Array())) as string[]
    const cursorAt = (k: unknown, id: unknown) => toBase64Url(utf8(JSON.stringify([mark, k, id])))
    const places = fc.tuple(
      fc.oneof(fc.double({ noInteger: true }), fc.constantFrom(1e300, -1e300, 2 ** 63, null, "x"), fc.integer()),
      fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("\u0000", "\ud800", 1)),
    )
    await fc.assert(
      fc.asyncProperty(places, async ([k, id]) => {
        const { status } = await ada.get(`/api/v1/tasks?sort=updated&limit=1&cursor=${cursorAt(k, id)}`)
        expect([200, 422]).toContain(status)
      }),
      { numRuns: 60 },
    )
  })
})
