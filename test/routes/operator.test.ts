import { env } from "cloudflare:workers"
import { beforeAll, describe, expect, it } from "vitest"
import { WorkspaceHub } from "../../src/contracts/operator.ts"
import { parseSettings } from "../../src/env.ts"
import { newId } from "../../src/lib/ids.ts"
import { policies } from "../../src/limits/policies.ts"
import { openApp, type TestApp } from "../support/app.ts"
import { newAddress, newCaller, newTask, problemIn, sharedApp } from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { refusing } from "../support/faults.ts"
import { untold } from "../support/jobs.ts"

const token = `operator-${crypto.randomUUID()}`
const settings = { ...parseSettings(env), OPERATOR_TOKEN: token }

let app: TestApp

beforeAll(async () => {
  app = await openApp({ settings })
})

const api = "/api/v1/operator"
const routes = [
  ["GET", `${api}/jobs`],
  ["POST", `${api}/jobs/unread-logs/runs`],
  ["GET", `${api}/workspaces/${newId("workspace")}/hub`],
  ["POST", `${api}/workspaces/${newId("workspace")}/hub/catch-up`],
  ["POST", `${api}/workspaces/${newId("workspace")}/hub/parked/retries`],
] as const

const ask = (method: string, path: string, { bearer = token, through = app, headers = {} } = {}) =>
  through.fetch(path, {
    method,
    headers: { authorization: `Bearer ${bearer}`, "cf-connecting-ip": newAddress(), ...headers },
  })

describe("what operators have", () => {
  it("is not there in a deployment that has no token for them, whoever asks", async () => {
    const none = await sharedApp()
    const { accessToken } = await newCaller()
    for (const [method, path] of routes) {
      for (const bearer of [token, accessToken, "undefined", ""]) {
        await problemIn(await ask(method, path, { bearer, through: none }), 404)
      }
    }
    const document = await (await none.fetch("/openapi.json")).text()
    expect(document).not.toContain("/operator/")
  })

  it("is for nobody without the token: not for the owner of a workspace, nor for one that is nearly it", async () => {
    const ada = await newCaller(app)
    for (const [method, path] of routes) {
      for (const bearer of [ada.accessToken, "x", `${token}x`, token.slice(0, -1), token.toUpperCase()]) {
        const answer = await ask(method, path, { bearer })
        expect((await problemIn(answer, 401)).code).toBe("unauthenticated")
        expect(answer.headers.get("www-authenticate")).toContain("Bearer")
        expect(answer.headers.get("server-timing")).toContain("trips=0")
      }
      const { url: _none, ...answer } = { url: path, status: (await app.fetch(path, { method })).status }
      expect(answer.status).toBe(401)
    }
  })

  it("charges the address for what is wrong, and not for what is right", async () => {
    const headers = { "cf-connecting-ip": newAddress() }
    const { quota, name } = policies.anonymousByAddress
    const first = await ask("GET", `${api}/jobs`, { bearer: "x", headers })
    expect(first.headers.get("ratelimit")).toContain(`"${name}";r=${quota - 1};`)
    expect((await ask("GET", `${api}/jobs`, { headers })).headers.get("ratelimit")).toBeNull()
    const many = await Promise.all(
      Array.from({ length: quota }, () => ask("GET", `${api}/jobs`, { bearer: "x", headers })),
    )
    expect(many.map(({ status }) => status).filter((status) => status === 429)).toHaveLength(1)
  })

  it("is 404 or 405 where there is nothing", async () => {
    await problemIn(await ask("GET", `${api}/nothing`), 404)
    await problemIn(await ask("DELETE", `${api}/jobs`), 405)
    await problemIn(await ask("POST", `${api}/jobs/none/runs`), 404)
    for (const id of ["x", "%00", newId("workspace"), newId("task")]) {
      await problemIn(await ask("GET", `${api}/workspaces/${id}/hub`), 404)
      await problemIn(await ask("POST", `${api}/workspaces/${id}/hub/catch-up`), 404)
      await problemIn(await ask("POST", `${api}/workspaces/${id}/hub/parked/retries`), 404)
    }
  })

  it("is in the OpenAPI document with a security scheme of its own", async () => {
    type Document = {
      paths: Record<string, Record<string, { security?: object[] }>>
      components: { securitySchemes: object }
    }
    const { paths, components } = (await (await app.fetch("/openapi.json")).json()) as Document
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      path.includes("/operator/") ? Object.values(methods) : [],
    )
    expect(operations.map(({ security }) => security)).toEqual(Array.from({ length: 5 }, () => [{ operatorToken: [] }]))
    expect(components.securitySchemes).toHaveProperty("operatorToken", expect.objectContaining({ type: "http" }))
  })

  it("takes a token that nobody guesses", () => {
    for (const OPERATOR_TOKEN of ["", "short", "x".repeat(31), `${"x".repeat(40)} `, "ü".repeat(40)]) {
      expect(() => parseSettings({ ...env, OPERATOR_TOKEN })).toThrow("OPERATOR_TOKEN")
    }
    expect(parseSettings({ ...env, OPERATOR_TOKEN: "x".repeat(32) }).OPERATOR_TOKEN).toHaveLength(32)
  })
})

describe("the jobs", () => {
  it("are 503 while the database does not answer, or nothing may be written", async () => {
    const down = await openApp({ settings, database: refusing("D1_ERROR: D1 DB is overloaded") })
    await problemIn(await ask("GET", `${api}/jobs`, { through: down }), 503)
    await problemIn(await ask("POST", `${api}/jobs/unread-logs/runs`, { through: down }), 503)
    const readOnly = await openApp({ settings: { ...settings, READ_ONLY: true } })
    await problemIn(await ask("POST", `${api}/jobs/unread-logs/runs`, { through: readOnly }), 503)
  })
})

describe("the hub of a workspace", () => {
  it("is told with its readers and what they gave up, and catches up when it is told to", async () => {
    const ada = await untold()
    await newTask(ada)
    const path = `${api}/workspaces/${ada.workspaceId}/hub`
    const fresh = WorkspaceHub.parse(await (await ask("GET", path)).json())
    expect(fresh).toMatchObject({ pumpedSeq: 0, readers: [], parked: [] })
    await ask("POST", `${path}/catch-up`)
    const read = async () => WorkspaceHub.parse(await (await ask("GET", path)).json()).readers
    await expect
      .poll(read, { timeout: 5_000 })
      .toEqual(["realtime", "inbox", "webhooks"].map((name) => ({ name, seq: fresh.seq, failing: null })))
    expect(await rowsOf("select seq from heads where workspace_id = ?", ada.workspaceId)).toHaveLength(1)
  })
})
