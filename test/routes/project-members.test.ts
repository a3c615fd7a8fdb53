import { describe, expect, it } from "vitest"
import { ProjectMember, ProjectMemberPage } from "../../src/contracts/projects.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  newCaller,
  newProject,
  newTask,
  pointersIn,
  problemIn,
  projectIn,
} from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { between, isCommit } from "../support/faults.ts"
import { joined } from "../support/people.ts"

const pathOf = (projectId: string, { userId }: { userId: string }) => `/api/v1/projects/${projectId}/members/${userId}`
const namedIn = async (answer: Response) => {
  expect(answer.status).toBe(200)
  return ProjectMember.parse(await answer.json())
}
const listed = async (caller: Caller, projectId: string, query = "") =>
  ProjectMemberPage.parse(await (await caller.get(`/api/v1/projects/${projectId}/members${query}`)).json())

async function scene() {
  const ada = await newCaller()
  const [eve, guest] = [await joined(ada, "member", "Eve"), await joined(ada, "guest", "Gus")]
  const project = await newProject(ada, { visibility: "private" })
  return { ada, eve, guest, project }
}

describe("a private project", () => {
  it("is seen by its creator, by owners and by those named to it, and by nobody else", async () => {
    const ada = await newCaller()
    const [eve, admin, bob] = [await joined(ada, "member"), await joined(ada, "admin"), await joined(ada, "member")]
    const project = await newProject(eve, { visibility: "private" })
    const path = `/api/v1/projects/${project.id}`
    expect(project.visibility).toBe("private")
    for (const caller of [ada, eve]) expect((await caller.get(path)).status).toBe(200)
    for (const caller of [admin, bob]) await problemIn(await caller.get(path), 404)
    await eve.put(pathOf(project.id, bob), { level: "view" })
    expect((await bob.get(path)).status).toBe(200)
    expect((await listed(eve, project.id)).data.map(({ level }) => level).sort()).toEqual(["manage", "view"])
  })

  it("is opened and closed by whoever manages it, who stays inside", async () => {
    const ada = await newCaller()
    const [admin, bob] = [await joined(ada, "admin"), await joined(ada, "member")]
    const project = await newProject(ada)
    await ada.put(pathOf(project.id, admin), { level: "view" })
    const path = `/api/v1/projects/${project.id}`
    await problemIn(await bob.patch(path, { visibility: "private" }), 403)
    const closed = await admin.patch(path, { visibility: "private" })
    expect(await projectIn(closed)).toMatchObject({ visibility: "private" })
    expect(costOf(closed).trips).toBe(2)
    await problemIn(await bob.get(path), 404)
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "project.updated",
      data: { before: { visibility: "workspace" }, after: { visibility: "private" } },
    })
    expect((await admin.patch(path, { visibility: "workspace" })).status).toBe(200)
    expect((await bob.get(path)).status).toBe(200)
  })

  it("that is closed while somebody writes into it takes nothing of theirs afterwards", async () => {
    const ada = await newCaller()
    const bob = await joined(ada, "member")
    const project = await newProject(ada)
    const creating = Array.from({ length: 8 }, (_, n) =>
      bob.post("/api/v1/tasks", { projectId: project.id, title: `Task ${n}` }),
    )
    const closing = ada.patch(`/api/v1/projects/${project.id}`, { visibility: "private" })
    const answers = await Promise.all(creating)
    expect((await closing).status).toBe(200)
    expect(answers.every(({ status }) => status === 201 || status === 422)).toBe(true)
    const log = (await eventsOf(ada)).filter(({ projectId }) => projectId === project.id)
    const closedAt = log.findIndex(({ type }) => type === "project.updated")
    expect(log.slice(closedAt + 1).filter(({ actorId }) => actorId === bob.userId)).toEqual([])
    expect(log.filter(({ actorId }) => actorId === bob.userId)).toHaveLength(
      answers.filter(({ status }) => status === 201).length,
    )
  })
})

describe("PUT /projects/:projectId/members/:userId", () => {
  it("names a member, changes their level, and tells so in the log", async () => {
    const { ada, eve, project } = await scene()
    const named = await ada.put(pathOf(project.id, eve), { level: "comment" })
    expect(costOf(named).trips).toBeLessThanOrEqual(3)
    expect(await namedIn(named)).toMatchObject({ userId: eve.userId, name: "Eve", role: "member", level: "comment" })
    expect(await namedIn(await ada.put(pathOf(project.id, eve), { level: "edit" }))).toMatchObject({ level: "edit" })
    const again = await ada.put(pathOf(project.id, eve), { level: "edit" }, { "idempotency-key": "again" })
    expect(await namedIn(again)).toMatchObject({ level: "edit" })
    const told = (await eventsOf(ada)).filter(({ type }) => type.startsWith("project.member"))
    expect(told.map(({ type, revision, data }) => [type, revision, data.after])).toEqual([
      ["project.member_added", 2, { userId: eve.userId, level: "comment" }],
      ["project.member_updated", 3, { userId: eve.userId, level: "edit" }],
    ])
    expect((await newTask(eve, { projectId: project.id })).projectId).toBe(project.id)
  })

  it("lets a guest edit at most", async () => {
    const { ada, guest, project } = await scene()
    expect(await pointersIn(await ada.put(pathOf(project.id, guest), { level: "manage" }))).toEqual(["/level"])
    expect(await namedIn(await ada.put(pathOf(project.id, guest), { level: "edit" }))).toMatchObject({ role: "guest" })
    expect((await newTask(guest, { projectId: project.id })).createdBy).toBe(guest.userId)
    await problemIn(await guest.post("/api/v1/tasks", { projectId: ada.inboxId, title: "x" }), 422)
  })

  it("does not know strangers, those who have left, and what is no id", async () => {
    const { ada, eve, project } = await scene()
    await problemIn(await ada.put(pathOf(project.id, await newCaller()), { level: "view" }), 404)
    await ada.delete(`/api/v1/members/${eve.userId}`)
    await problemIn(await ada.put(pathOf(project.id, eve), { level: "view" }), 404)
    await problemIn(await ada.put(pathOf(project.id, { userId: "x" }), { level: "view" }), 404)
    expect(await pointersIn(await ada.put(pathOf(project.id, ada), { level: "boss", role: 1 }))).toEqual([
      "/level",
      "/role",
    ])
  })

  it("lets those who manage it lower themselves", async () => {
    const { ada, eve, project } = await scene()
    await ada.put(pathOf(project.id, eve), { level: "manage" })
    expect(await namedIn(await eve.put(pathOf(project.id, eve), { level: "view" }))).toMatchObject({ level: "view" })
    await problemIn(await eve.put(pathOf(project.id, eve), { level: "manage" }), 403)
  })

  it("gives who was demoted a moment ago no way to name themselves, nor to close a project around themselves", async () => {
    const ada = await newCaller()
    const [eve, bob] = [await joined(ada, "owner"), await joined(ada, "admin")]
    const [hidden, open] = [await newProject(ada, { visibility: "private" }), await newProject(ada)]
    for (const person of [eve, bob]) await ada.patch(`/api/v1/members/${person.userId}`, { role: "member" })
    const events = await eventsOf(ada)
    await problemIn(await eve.put(pathOf(hidden.id, eve), { level: "manage" }), 404)
    await problemIn(await bob.put(pathOf(open.id, bob), { level: "manage" }), 403)
    await problemIn(await bob.patch(`/api/v1/projects/${open.id}`, { visibility: "private" }), 403)
    await problemIn(await eve.patch(`/api/v1/projects/${open.id}`, { visibility: "private" }), 403)
    expect(await eventsOf(ada)).toEqual(events)
    expect((await listed(ada, open.id)).data.map(({ userId }) => userId)).toEqual([ada.userId])
  })

  for (const [what, happen, expected] of [
    ["made a guest", (ada: Caller, eve: Caller) => ada.patch(`/api/v1/members/${eve.userId}`, { role: "guest" }), 422],
    ["removed", (ada: Caller, eve: Caller) => ada.delete(`/api/v1/members/${eve.userId}`), 404],
  ] as const) {
    for (const before of ["view", null] as const) {
      it(`finds that they were ${what} in the same moment: ${before ?? "not named"} before`, async () => {
        const { ada, eve, project } = await scene()
        if (before) await ada.put(pathOf(project.id, eve), { level: before })
        let isFirst = true
        const app = await openApp({
          database: between(async (batch) => {
            if (isCommit(batch) && isFirst) {
              isFirst = false
              expect((await happen(ada, eve)).ok).toBe(true)
            }
            return batch.run()
          }),
        })
        const answer = await ada.through(app).put(pathOf(project.id, eve), { level: "manage" })
        await problemIn(answer, expected)
        const rows = await rowsOf<{ level: number }>(
          "select level from project_members where project_id = ? and user_id = ?",
          project.id,
          eve.userId,
        )
        expect(rows).toEqual(before && expected === 422 ? [{ level: 1 }] : [])
      })
    }
  }

  it("by two at once leaves one name with one of the two levels", async () => {
    const { ada, eve, project } = await scene()
    const answers = await Promise.all([
      ada.put(pathOf(project.id, eve), { level: "view" }),
      ada.put(pathOf(project.id, eve), { level: "edit" }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const rows = await rowsOf<{ level: number }>(
      "select level from project_members where project_id = ? and user_id = ?",
      project.id,
      eve.userId,
    )
    expect(rows).toHaveLength(1)
    const last = (await eventsOf(ada)).findLast(({ type }) => type.startsWith("project.member"))
    expect(last?.data.after?.["level"]).toBe(rows[0]?.level === 1 ? "view" : "edit")
  })
})

describe("DELETE /projects/:projectId/members/:userId", () => {
  it("takes the name off, by whoever manages the project or by oneself", async () => {
    const { ada, eve, guest, project } = await scene()
    for (const caller of [eve, guest]) await ada.put(pathOf(project.id, caller), { level: "edit" })
    await problemIn(await guest.delete(pathOf(project.id, eve)), 403)
    const answer = await ada.delete(pathOf(project.id, eve))
    expect([answer.status, costOf(answer).trips]).toEqual([204, 3])
    await problemIn(await eve.get(`/api/v1/projects/${project.id}`), 404)
    await problemIn(await ada.delete(pathOf(project.id, eve)), 404)
  })

  it("lets everybody take off their own name", async () => {
    const { ada, guest, project } = await scene()
    await ada.put(pathOf(project.id, guest), { level: "edit" })
    expect((await guest.delete(pathOf(project.id, guest))).status).toBe(204)
    await problemIn(await guest.get(`/api/v1/projects/${project.id}`), 404)
    expect((await eventsOf(ada)).at(-1)).toMatchObject({ type: "project.member_removed", actorId: guest.userId })
  })
})

describe("GET /projects/:projectId/members", () => {
  it("lists them page by page, for whoever sees the project", async () => {
    const { ada, eve, guest, project } = await scene()
    await problemIn(await eve.get(`/api/v1/projects/${project.id}/members`), 404)
    for (const caller of [eve, guest]) await ada.put(pathOf(project.id, caller), { level: "view" })
    const first = await listed(guest, project.id, "?limit=2")
    const rest = await listed(guest, project.id, `?limit=2&cursor=${first.next}`)
    expect([...first.data, ...rest.data].map(({ userId }) => userId)).toEqual([ada.userId, eve.userId, guest.userId])
    expect(rest.next).toBeNull()
    expect(await pointersIn(await ada.get(`/api/v1/projects/${project.id}/members?cursor=x`))).toEqual(["?cursor"])
  })
})
