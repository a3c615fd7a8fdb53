import { setTimeout as wait } from "node:timers/promises"
import { beforeAll, describe, expect, it } from "vitest"
import { freshLife } from "../../src/cache/rev.ts"
import { allPermissions } from "../../src/domain/permissions.ts"
import { operationOf } from "../../src/http/contract.ts"
import { type Role, roles } from "../../src/lib/roles.ts"
import { cacheOf, hit } from "../support/cached.ts"
import { type Caller, costOf, newCaller, newProject, newTask, sharedApp } from "../support/caller.ts"
import { openSetting, type Scene, type Setting, type Standing, standings } from "../support/matrix.ts"
import { joined, signedInTo } from "../support/people.ts"

// Every route that a cache may answer, asked by everybody for everything: what the cache gives must be what the database
// gives the same caller at that moment. The routes are those that the app has.

const idOf = async (answer: Response | Promise<Response>) => ((await (await answer).json()) as { id: string }).id

type Things = { workspaceId: string; projectId: string; idOrKey: string; labelId: string; commentId: string }

async function fill({ owner, projectId, taskId }: Pick<Scene, "owner" | "projectId" | "taskId">): Promise<Things> {
  const api = "/api/v1"
  const labelId = await idOf(owner.post(`${api}/labels`, { name: crypto.randomUUID() }))
  const commentId = await idOf(owner.post(`${api}/tasks/${taskId}/comments`, { body: "A word" }))
  await owner.patch(`${api}/tasks/${taskId}`, { labelIds: [labelId] })
  await owner.put(`${api}/projects/${projectId}/favourite`)
  return { workspaceId: owner.workspaceId, projectId, idOrKey: taskId, labelId, commentId }
}

let patterns: string[]
let setting: Setting

beforeAll(async () => {
  const { hono } = await sharedApp()
  patterns = hono.routes.flatMap(({ path, handler }) => (operationOf(handler)?.isCached ? [path] : []))
  setting = await openSetting()
})

/** The addresses of all cached routes about some things. */
const pathsTo = (things: Things) =>
  patterns.map((pattern) =>
    pattern.replaceAll(/:(\w+)/g, (whole, name: string) => things[name as keyof Things] ?? whole),
  )

/** What the cache gives and what the database gives must be the same. Gives how many the cache answered. */
async function compare(caller: Caller, paths: string[], read = hit): Promise<number> {
  let hits = 0
  for (const path of paths) {
    const cached = await read(caller.cached(), path)
    const straight = await caller.get(path)
    const [told, truth] = await Promise.all([cached, straight].map((answer) => answer.text()))
    const what = `${path}, ${cacheOf(cached)}`
    expect(costOf(straight).trips, what).toBeLessThanOrEqual(1)
    expect(costOf(cached).trips, what).toBeLessThanOrEqual(cacheOf(cached) === "HIT" ? 0 : 1)
    expect(cached.status, what).toBe(straight.status)
    if (straight.ok) {
      expect(told, what).toBe(truth)
      expect(cached.headers.get("etag"), what).toBe(straight.headers.get("etag"))
    } else expect(cacheOf(cached), what).toBe("MISS")
    if (cacheOf(cached) === "HIT") hits += 1
  }
  return hits
}

const once = (caller: Caller, path: string) => caller.get(path)

describe("the routes that a cache may answer", () => {
  it("are reads of the active workspace, and those that are about more are not among them", () => {
    expect(patterns).toHaveLength(21)
    for (const path of ["me", "workspaces", "api-keys", "webhooks", "me/invitations", "auth/sessions"]) {
      expect(patterns).not.toContain(`/api/v1/${path}`)
    }
    expect(
      pathsTo({ workspaceId: "w", projectId: "p", idOrKey: "t", labelId: "l", commentId: "c" }).join(),
    ).not.toContain(":")
  })

  for (const standing of standings) {
    it(`give each role what it may see, and none what another has seen: ${standing}`, async () => {
      const things: Things[] = []
      for (const role of roles) {
        if (role === "guest" && standing.endsWith("named to manage")) continue
        const [scene] = await setting.sceneOf(role, standing, 1)
        if (scene) things.push(await fill(scene))
      }
      const paths = [...new Set(things.flatMap(pathsTo))]
      for (const role of roles) {
        expect(await compare(setting.people[role], paths), role).toBeGreaterThan(8)
      }
    })
  }

  it("give a key what its scopes reach, and not what its owner or another key has seen", async () => {
    const owner = await newCaller()
    const { id: projectId } = await newProject(owner)
    const { id: taskId } = await newTask(owner, { projectId })
    const paths = pathsTo(await fill({ owner, projectId, taskId }))
    const reads = allPermissions.filter((permission) => permission.endsWith(":read"))
    const keys: Caller[] = []
    // All of them first: making one is a change, after which nothing that was kept before is given.
    for (const scopes of [reads, ...reads.map((scope) => [scope])]) {
      const made = (await (await owner.post("/api/v1/api-keys", { name: "k", scopes })).json()) as { key: string }
      keys.push(owner.as(made.key))
    }
    expect(await compare(owner, paths)).toBe(paths.length)
    for (const key of keys) await compare(key, paths)
  })

  for (const role of ["member", "guest"] as const) {
    it(`give a ${role} not what another ${role} has seen`, async () => {
      const owner = await newCaller()
      const [one, other] = [await joined(owner, role, "One"), await joined(owner, role, "Other")]
      const things: Things[] = []
      for (const person of [one, other]) {
        const { id: projectId } = await newProject(owner, { visibility: "private" })
        await owner.put(`/api/v1/projects/${projectId}/members/${person.userId}`, { level: "edit" })
        const { id: taskId } = await newTask(owner, { projectId })
        things.push(await fill({ owner, projectId, taskId }))
        await person.put(`/api/v1/projects/${projectId}/favourite`)
        await person.put(`/api/v1/tasks/${taskId}/follower`)
      }
      const paths = [...new Set(things.flatMap(pathsTo))]
      for (const person of [one, other, one]) expect(await compare(person, paths)).toBeGreaterThan(8)
    })
  }
})

describe("once somebody's role or access has changed", () => {
  const changes: [string, Standing, (scene: Scene) => Promise<unknown>][] = [
    [
      "their name is taken off a private project",
      "named to edit",
      ({ owner, caller, projectId }) => owner.delete(`/api/v1/projects/${projectId}/members/${caller.userId}`),
    ],
    [
      "an open project becomes private",
      "open",
      ({ owner, projectId }) => owner.patch(`/api/v1/projects/${projectId}`, { visibility: "private" }),
    ],
    [
      "they are named to a private project",
      "private",
      ({ owner, caller, projectId }) =>
        owner.put(`/api/v1/projects/${projectId}/members/${caller.userId}`, { level: "view" }),
    ],
    ["the project is deleted", "open", ({ owner, projectId }) => owner.delete(`/api/v1/projects/${projectId}`)],
    ["the task is deleted", "open", ({ owner, taskId }) => owner.delete(`/api/v1/tasks/${taskId}`)],
  ]
  for (const [what, standing, change] of changes) {
    it(`the cache gives what the database gives, a second later at most: ${what}`, async () => {
      for (const role of ["admin", "member", "guest"] as const) {
        const [scene] = await setting.sceneOf(role, standing, 1)
        if (!scene) throw new Error("No scene")
        const paths = pathsTo(await fill(scene))
        await compare(scene.caller, paths)
        await change(scene)
        await wait(freshLife)
        await compare(scene.caller, paths, once)
        await compare(scene.caller, paths)
      }
    })
  }

  for (const [from, to] of [
    ["admin", "member"],
    ["member", "guest"],
    ["guest", "admin"],
  ] satisfies [Role, Role][]) {
    it(`the next token sees at once what its role sees, whatever the last one saw: ${from}, then ${to}`, async () => {
      const owner = await newCaller()
      const person = await joined(owner, from, "Mia")
      const { id: projectId } = await newProject(owner, { visibility: to === "guest" ? "workspace" : "private" })
      const { id: taskId } = await newTask(owner, { projectId })
      const paths = pathsTo(await fill({ owner, projectId, taskId }))
      await compare(person, paths)
      expect((await owner.patch(`/api/v1/members/${person.userId}`, { role: to })).status).toBe(200)
      await compare(await signedInTo(owner, person), paths, once)
      await wait(freshLife)
      // The old token trusts itself for its ten minutes; the cache gives it nothing that the database does not.
      await compare(person, paths, once)
    })
  }
})
