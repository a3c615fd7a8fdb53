import { describe, expect, it } from "vitest"
import { Member, MemberPage } from "../../src/contracts/members.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newAddress,
  newCaller,
  newProject,
  newTask,
  nextIn,
  pointersIn,
  problemIn,
  taskIn,
} from "../support/caller.ts"
import { execute, rowsOf } from "../support/database.ts"
import { between } from "../support/faults.ts"
import { joined } from "../support/people.ts"

const memberIn = async (answer: Response) => Member.parse(await answer.json())
const listed = async (caller: Caller, query = "") =>
  MemberPage.parse(await (await caller.get(`/api/v1/members${query}`)).json())
const pathOf = ({ userId }: Caller) => `/api/v1/members/${userId}`
const rolesOf = async (caller: Caller) => (await listed(caller)).data.map(({ role }) => role).sort()

const refresh = ({ app, refreshToken }: Caller) =>
  app.fetch("/api/v1/auth/refresh", {
    method: "POST",
    headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
    body: JSON.stringify({ refreshToken }),
  })

describe("GET /members", () => {
  it("lists everybody page by page, in one round trip", async () => {
    const ada = await newCaller()
    for (const role of ["admin", "member", "guest"] as const) await joined(ada, role)
    const first = await ada.get("/api/v1/members?limit=3")
    expect(costOf(first)).toMatchObject({ trips: 1 })
    const next = nextIn(first)
    const page = MemberPage.parse(await first.json())
    const rest = MemberPage.parse(await (await ada.get(next ?? "")).json())
    expect([...page.data, ...rest.data].map(({ role }) => role)).toEqual(["owner", "admin", "member", "guest"])
    expect(rest.next).toBeNull()
  })

  it("is for members, and not for guests", async () => {
    const ada = await newCaller()
    const [eve, guest] = [await joined(ada, "member"), await joined(ada, "guest")]
    expect((await listed(eve)).data).toHaveLength(3)
    await problemIn(await guest.get("/api/v1/members"), 403)
  })

  it("names the parameter of what is wrong", async () => {
    const ada = await newCaller()
    expect(await pointersIn(await ada.get("/api/v1/members?cursor=x"))).toEqual(["?cursor"])
    expect(await pointersIn(await ada.get("/api/v1/members?limit=0&role=owner"))).toEqual(["?limit", "?role"])
  })
})

describe("PATCH /members/:userId", () => {
  it("gives another role, which holds for writes at once and for reads with the next token", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "admin")
    const answer = await ada.patch(pathOf(eve), { role: "guest" })
    expect(costOf(answer).trips).toBe(2)
    expect(await memberIn(answer)).toMatchObject({ userId: eve.userId, role: "guest", revision: 2 })
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "member.updated",
      subjectId: eve.userId,
      data: { before: { role: "admin" }, after: { role: "guest" } },
    })
    expect((await eve.get("/api/v1/members")).status).toBe(200)
    const tokens = (await (await refresh(eve)).json()) as { accessToken: string }
    const headers = { authorization: `Bearer ${tokens.accessToken}` }
    await problemIn(await ada.app.fetch("/api/v1/members", { headers }), 403)
  })

  it("finds an admin who was demoted a moment ago: they change no role, remove nobody, make no project", async () => {
    const ada = await newCaller()
    const [eve, bob] = [await joined(ada, "admin"), await joined(ada, "member")]
    await ada.patch(pathOf(eve), { role: "guest" })
    const before = await eventsOf(ada)
    await problemIn(await eve.patch(pathOf(bob), { role: "admin" }), 403)
    await problemIn(await eve.patch(pathOf(eve), { role: "admin" }), 403)
    await problemIn(await eve.delete(pathOf(bob)), 403)
    await problemIn(await eve.patch(`/api/v1/workspaces/${ada.workspaceId}`, { name: "Mine" }), 403)
    const refused = await problemIn(await eve.post("/api/v1/projects", { name: "Mine" }), 403)
    expect(refused.detail).toContain("project:create")
    expect(await eventsOf(ada)).toEqual(before)
  })

  it("lets only owners make and unmake owners", async () => {
    const ada = await newCaller()
    const [eve, bob] = [await joined(ada, "admin"), await joined(ada, "member")]
    await problemIn(await eve.patch(pathOf(bob), { role: "owner" }), 403)
    await problemIn(await eve.patch(pathOf(ada), { role: "member" }), 403)
    await problemIn(await bob.patch(pathOf(eve), { role: "member" }), 403)
    expect((await ada.patch(pathOf(bob), { role: "owner" })).status).toBe(200)
    expect((await ada.patch(pathOf(ada), { role: "admin" })).status).toBe(200)
    expect(await rolesOf(ada)).toEqual(["admin", "admin", "owner"])
  })

  it("changes nothing for the same role, and minds If-Match", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member")
    expect(await memberIn(await ada.patch(pathOf(eve), { role: "member" }))).toMatchObject({ revision: 1 })
    await problemIn(await ada.patch(pathOf(eve), { role: "admin" }, { "if-match": '"7"' }), 412)
    expect((await ada.patch(pathOf(eve), { role: "admin", revision: 1 })).status).toBe(200)
  })

  it("keeps the last owner", async () => {
    const ada = await newCaller()
    await joined(ada, "admin")
    expect((await problemIn(await ada.patch(pathOf(ada), { role: "admin" }), 409)).detail).toContain("needs an owner")
    expect((await problemIn(await ada.delete(pathOf(ada)), 409)).detail).toContain("needs an owner")
  })

  it("keeps one owner when two unmake each other at the same moment", async () => {
    for (let round = 0; round < 5; round += 1) {
      const ada = await newCaller()
      const eve = await joined(ada, "owner")
      const answers = await Promise.all([
        ada.patch(pathOf(eve), { role: "member" }),
        eve.patch(pathOf(ada), { role: "member" }),
      ])
      expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1)
      expect(
        await rowsOf("select role from members where workspace_id = ? and role = 'owner'", ada.workspaceId),
      ).toEqual([{ role: "owner" }])
    }
  })

  it("keeps one owner when both step down, or leave, at the same moment", async () => {
    for (const step of [(c: Caller) => c.patch(pathOf(c), { role: "admin" }), (c: Caller) => c.delete(pathOf(c))]) {
      const ada = await newCaller()
      const eve = await joined(ada, "owner")
      const answers = await Promise.all([step(ada), step(eve)])
      expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(1)
      const owners = await rowsOf(
        "select role from members where workspace_id = ? and role = 'owner' and removed_at is null",
        ada.workspaceId,
      )
      expect(owners).toHaveLength(1)
    }
  })

  it("takes what a guest cannot have from whoever becomes one", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member")
    const project = await newProject(eve, { visibility: "private" })
    await ada.patch(pathOf(eve), { role: "guest" })
    expect(
      await rowsOf("select level from project_members where project_id = ? and user_id = ?", project.id, eve.userId),
    ).toEqual([{ level: 4 }])
    await problemIn(await eve.patch(`/api/v1/projects/${project.id}`, { name: "Mine" }), 403)
    expect((await newTask(eve, { projectId: project.id })).title).toBe("Write tests")
  })

  it("names the field of what is wrong, and does not know strangers", async () => {
    const [ada, stranger] = [await newCaller(), await newCaller()]
    const eve = await joined(ada)
    expect(await pointersIn(await ada.patch(pathOf(eve), { role: "boss", name: "x" }))).toEqual(["/role", "/name"])
    await problemIn(await ada.patch(pathOf(stranger), { role: "admin" }), 404)
    await problemIn(await ada.patch("/api/v1/members/me", { role: "admin" }), 404)
  })
})

describe("DELETE /members/:userId", () => {
  it("removes a member: no refresh, no write, and reading for as long as the token lives", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member", "Eve")
    const task = await newTask(ada, { assigneeIds: [eve.userId] })
    await newTask(eve)
    const answer = await ada.delete(pathOf(eve))
    expect([answer.status, costOf(answer).trips]).toEqual([204, 3])

    await problemIn(await refresh(eve), 401)
    const refused = await problemIn(await eve.post("/api/v1/tasks", { projectId: ada.inboxId, title: "Late" }), 403)
    expect(refused.detail).toBe("You are no longer a member of this workspace")
    expect((await eve.get(`/api/v1/tasks/${task.id}`)).status).toBe(200)
    expect((await listed(ada)).data.map(({ userId }) => userId)).toEqual([ada.userId])
    await problemIn(await ada.patch(pathOf(eve), { role: "admin" }), 404)
    await problemIn(await ada.delete(pathOf(eve)), 404)
    expect(await historyOf(ada, eve.userId)).toEqual(["member.removed"])
    expect(
      await rowsOf(
        "select workspace_id from memberships where user_id = ? and workspace_id = ?",
        eve.userId,
        ada.workspaceId,
      ),
    ).toEqual([])
  })

  it("cut off before the directory knew is completed by its repeat", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member", "Eve")
    const cutOff = await openApp({
      database: between((batch) =>
        batch.sql.some((text) => text.startsWith('delete from "memberships"'))
          ? Promise.reject(new Error("gone"))
          : batch.run(),
      ),
    })
    const listedBy = async () => (await (await eve.get("/api/v1/workspaces")).json()) as { data: { id: string }[] }
    await problemIn(await ada.through(cutOff).delete(pathOf(eve)), 500)
    expect((await listedBy()).data.map(({ id }) => id)).toContain(ada.workspaceId)
    await problemIn(await refresh(eve), 401)
    await problemIn(await ada.delete(pathOf(eve)), 404)
    expect((await listedBy()).data.map(({ id }) => id)).not.toContain(ada.workspaceId)
  })

  it("finds again whom the directory has lost, at their next refresh", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member", "Eve")
    const listedBy = async () => (await (await eve.get("/api/v1/workspaces")).json()) as { data: { id: string }[] }
    await execute("delete from memberships where user_id = ? and workspace_id = ?", eve.userId, ada.workspaceId)
    expect((await listedBy()).data.map(({ id }) => id)).not.toContain(ada.workspaceId)
    expect((await refresh(eve)).status).toBe(200)
    expect((await listedBy()).data.map(({ id }) => id)).toContain(ada.workspaceId)
  })

  it("leaves alone the locator of somebody who has come back since", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member", "Eve")
    const removedAt = Date.now() - 1_000
    const of = [ada.workspaceId, eve.userId] as const
    await execute("update members set removed_at = ? where workspace_id = ? and user_id = ?", removedAt, ...of)
    await problemIn(await ada.delete(pathOf(eve)), 404)
    const locators = () => rowsOf("select user_id from memberships where workspace_id = ? and user_id = ?", ...of)
    expect(await locators()).toHaveLength(1)
    await execute("update memberships set created_at = ? where workspace_id = ? and user_id = ?", removedAt, ...of)
    await problemIn(await ada.delete(pathOf(eve)), 404)
    expect(await locators()).toHaveLength(0)
  })

  it("keeps their name where they are named, and keeps them assigned until somebody changes it", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member", "Eve")
    const task = await newTask(ada, { assigneeIds: [eve.userId] })
    await ada.delete(pathOf(eve))
    const path = `/api/v1/tasks/${task.id}`
    expect(await (await ada.get(`${path}?include=assignees`)).json()).toMatchObject({
      assignees: [{ id: eve.userId, name: "Eve" }],
    })
    expect(await taskIn(await ada.patch(path, { title: "Go on", due: { date: "2027-01-01" } }))).toMatchObject({
      assigneeIds: [eve.userId],
    })
    await ada.patch(path, { assigneeIds: [] })
    expect(await pointersIn(await ada.patch(path, { assigneeIds: [eve.userId] }))).toEqual(["/assigneeIds/0"])
  })

  it("takes their name off every project", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "guest")
    const project = await newProject(ada, { visibility: "private" })
    await ada.put(`/api/v1/projects/${project.id}/members/${eve.userId}`, { level: "edit" })
    await ada.delete(pathOf(eve))
    expect(await rowsOf("select user_id from project_members where user_id = ?", eve.userId)).toEqual([])
    await problemIn(await eve.get(`/api/v1/projects/${project.id}`), 404)
  })

  it("is leaving, for oneself, whatever the role", async () => {
    const ada = await newCaller()
    for (const role of ["admin", "member", "guest"] as const) {
      const eve = await joined(ada, role)
      expect((await eve.delete(pathOf(eve), { "idempotency-key": role })).status).toBe(204)
      expect((await eventsOf(ada)).at(-1)).toMatchObject({
        type: "member.removed",
        actorId: eve.userId,
        actorRole: role,
      })
      const again = await eve.delete(pathOf(eve), { "idempotency-key": role })
      expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([204, "true"])
    }
    expect(await rolesOf(ada)).toEqual(["owner"])
  })

  it("is for admins, who cannot remove owners", async () => {
    const ada = await newCaller()
    const [eve, bob] = [await joined(ada, "admin"), await joined(ada, "member")]
    await problemIn(await bob.delete(pathOf(eve)), 403)
    await problemIn(await eve.delete(pathOf(ada)), 403)
    expect((await eve.delete(pathOf(bob))).status).toBe(204)
  })
})

describe("PUT /workspaces/:workspaceId/owner", () => {
  it("hands the workspace over in one step", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member")
    const path = `/api/v1/workspaces/${ada.workspaceId}/owner`
    expect(await memberIn(await ada.put(path, { userId: eve.userId }))).toMatchObject({ role: "owner", revision: 2 })
    expect(await rolesOf(ada)).toEqual(["admin", "owner"])
    const changes = (await eventsOf(ada)).slice(-2)
    expect(changes.map(({ subjectId, data }) => [subjectId, data.after])).toEqual([
      [eve.userId, { role: "owner" }],
      [ada.userId, { role: "admin" }],
    ])
    await problemIn(await ada.put(path, { userId: ada.userId }), 403)
  })

  it("is for owners; a guest must become a member first, and one cannot hand it to oneself or to a stranger", async () => {
    const ada = await newCaller()
    const [eve, guest] = [await joined(ada, "admin"), await joined(ada, "guest")]
    const path = `/api/v1/workspaces/${ada.workspaceId}/owner`
    await problemIn(await eve.put(path, { userId: eve.userId }), 403)
    await problemIn(await ada.put(path, { userId: guest.userId }), 409)
    await problemIn(await ada.put(path, { userId: ada.userId }), 409)
    await problemIn(await ada.put(path, { userId: (await newCaller()).userId }), 404)
    expect(await pointersIn(await ada.put(path, { userId: "x" }))).toEqual(["/userId"])
  })
})
