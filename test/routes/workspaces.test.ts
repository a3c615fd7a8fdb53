import { describe, expect, it } from "vitest"
import { SignedIn } from "../../src/contracts/auth.ts"
import { Me } from "../../src/contracts/me.ts"
import { WorkspacePage, WorkspaceProfile } from "../../src/contracts/workspaces.ts"
import { day } from "../../src/lib/time.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  newAddress,
  newCaller,
  newTask,
  password,
  pointersIn,
  problemIn,
} from "../support/caller.ts"
import { execute, rowsOf } from "../support/database.ts"
import { between, isCommit } from "../support/faults.ts"
import { joined, signedInTo } from "../support/people.ts"

const post = (caller: Caller, path: string, body: object, token?: string) =>
  caller.app.fetch(`/api/v1/auth/${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "cf-connecting-ip": newAddress(),
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  })

const login = async ({ email, ...caller }: Caller) =>
  SignedIn.parse(await (await post({ email, ...caller }, "login", { email, password })).json())

const meOf = async (caller: Caller) => Me.parse(await (await caller.get("/api/v1/me")).json())
const mine = async (caller: Caller) => WorkspacePage.parse(await (await caller.get("/api/v1/workspaces")).json()).data
const profileIn = async (answer: Response) => WorkspaceProfile.parse(await answer.json())

const found = async (caller: Caller, name: string, headers = {}) => {
  const answer = await caller.post("/api/v1/workspaces", { name }, headers)
  expect(answer.status).toBe(201)
  return (await answer.json()) as { id: string; name: string; inboxId: string }
}

describe("POST /auth/switch", () => {
  it("gives tokens for another workspace, where the same person has another role", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member")
    expect((await meOf(eve)).workspace).toEqual({ id: ada.workspaceId, role: "member" })
    const task = await newTask(ada)
    expect((await eve.get(`/api/v1/tasks/${task.id}`)).status).toBe(200)
  })

  it("leaves the other device where it is: one person in two workspaces at once", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member")
    const laptop = await login(eve)
    expect(laptop.workspace.id).not.toBe(ada.workspaceId)
    const refreshed = await Promise.all(
      [laptop.refreshToken, eve.refreshToken].map(async (refreshToken) => {
        const answer = await post(ada, "refresh", { refreshToken })
        return (await answer.json()) as { accessToken: string }
      }),
    )
    const workspaces = await Promise.all(
      refreshed.map(async ({ accessToken }) => {
        const answer = await ada.app.fetch("/api/v1/me", { headers: { authorization: `Bearer ${accessToken}` } })
        return Me.parse(await answer.json()).workspace.id
      }),
    )
    expect(workspaces).toEqual([laptop.workspace.id, ada.workspaceId])
  })

  it("uses up the refresh token of before", async () => {
    const ada = await newCaller()
    const other = await found(ada, "Second")
    const answer = await post(ada, "switch", { workspaceId: other.id }, ada.accessToken)
    const tokens = (await answer.json()) as { refreshToken: string }
    expect((await post(ada, "refresh", { refreshToken: tokens.refreshToken })).status).toBe(200)
    await problemIn(await post(ada, "refresh", { refreshToken: ada.refreshToken }), 401)
  })

  it("names the field when the workspace is not the user's, is deleted, or has removed them", async () => {
    const ada = await newCaller()
    const eve = await joined(ada)
    const stranger = await newCaller()
    const to = (caller: Caller, workspaceId: string) => post(caller, "switch", { workspaceId }, caller.accessToken)
    expect(await pointersIn(await to(stranger, ada.workspaceId))).toEqual(["/workspaceId"])
    expect(await pointersIn(await to(stranger, "wsp_01j00000000000000000000000"))).toEqual(["/workspaceId"])
    await ada.delete(`/api/v1/members/${eve.userId}`)
    expect(await pointersIn(await to(eve, ada.workspaceId))).toEqual(["/workspaceId"])
    await ada.delete(`/api/v1/workspaces/${ada.workspaceId}`)
    expect(await pointersIn(await to(ada, ada.workspaceId))).toEqual(["/workspaceId"])
  })

  it("is refused to a session that has ended", async () => {
    const ada = await newCaller()
    const other = await found(ada, "Second")
    await post(ada, "logout", {}, ada.accessToken)
    await problemIn(await post(ada, "switch", { workspaceId: other.id }, ada.accessToken), 401)
  })
})

describe("POST /workspaces", () => {
  it("makes another one, with an Inbox, that its founder owns", async () => {
    const ada = await newCaller()
    const { id, inboxId } = await found(ada, "Second")
    const there = await signedInTo({ ...ada, workspaceId: id, inboxId }, ada)
    expect((await meOf(there)).workspace).toEqual({ id, role: "owner" })
    expect((await newTask({ ...there, inboxId })).key).toBe("INBOX-1")
    expect((await eventsOf(there)).map(({ type }) => type)).toEqual([
      "workspace.created",
      "member.added",
      "project.created",
      "task.created",
    ])
  })

  it("makes one, however often it is asked with the same key, and at once", async () => {
    const ada = await newCaller()
    const key = { "idempotency-key": "second" }
    const made = await Promise.all(Array.from({ length: 4 }, () => found(ada, "Second", key)))
    expect(new Set(made.map(({ id }) => id)).size).toBe(1)
    expect(await mine(ada)).toHaveLength(2)
  })

  it("is completed by its repeat when it was cut off between directory and workspace", async () => {
    const ada = await newCaller()
    let commits = 0
    const cutOff = await openApp({
      database: between((batch) => {
        if (!isCommit(batch)) return batch.run()
        commits += 1
        return commits === 2 ? Promise.reject(new Error("gone")) : batch.run()
      }),
    })
    const key = { "idempotency-key": "second" }
    const refused = await ada.through(cutOff).post("/api/v1/workspaces", { name: "Second" }, key)
    // The receipt was there, so the caller is told what is to be; the repeat makes it true.
    expect([201, 500]).toContain(refused.status)
    const again = await found(ada, "Second", key)
    const there = await signedInTo({ ...ada, workspaceId: again.id, inboxId: again.inboxId }, ada)
    expect((await newTask({ ...there, inboxId: again.inboxId })).key).toBe("INBOX-1")
    expect(await mine(ada)).toHaveLength(2)
  })

  it("without a key, cut off between directory and workspace, is complete for its founder as soon as they go there", async () => {
    const ada = await newCaller()
    const cutOff = await openApp({
      database: between((batch) => (isCommit(batch) ? Promise.reject(new Error("gone")) : batch.run())),
    })
    await problemIn(await ada.through(cutOff).post("/api/v1/workspaces", { name: "Second" }), 500)
    const second = (await mine(ada)).find(({ name }) => name === "Second")
    const eve = await newCaller()
    await problemIn(await post(eve, "switch", { workspaceId: second?.id ?? "" }, eve.accessToken), 422)
    const there = await signedInTo({ ...ada, workspaceId: second?.id ?? "", inboxId: second?.inboxId ?? "" }, ada)
    expect((await meOf(there)).workspace.role).toBe("owner")
    expect((await newTask({ ...there, inboxId: second?.inboxId ?? "" })).key).toBe("INBOX-1")
  })

  it("names the field of what is wrong", async () => {
    const ada = await newCaller()
    expect(await pointersIn(await ada.post("/api/v1/workspaces", { name: " ", color: 1 }))).toEqual(["/name", "/color"])
  })
})

describe("GET /workspaces", () => {
  it("lists mine in one round trip, and says which one is active", async () => {
    const ada = await newCaller()
    const eve = await joined(ada)
    const answer = await eve.get("/api/v1/workspaces")
    expect(costOf(answer).trips).toBe(1)
    const listed = WorkspacePage.parse(await answer.json()).data
    expect(listed.filter(({ isActive }) => isActive).map(({ id }) => id)).toEqual([ada.workspaceId])
    expect(listed).toHaveLength(2)
  })

  it("comes in pages, without those whose time to be restored is over", async () => {
    const ada = await newCaller()
    const ids = [ada.workspaceId]
    for (const name of ["Gone", "Second", "Third"]) ids.push((await found(ada, name)).id)
    const long = Date.now() - 31 * day
    await execute("update workspaces set deleted_at = ? where id = ?", long, ids[1])
    const first = WorkspacePage.parse(await (await ada.get("/api/v1/workspaces?limit=2")).json())
    const rest = WorkspacePage.parse(await (await ada.get(`/api/v1/workspaces?limit=2&cursor=${first.next}`)).json())
    expect([...first.data, ...rest.data].map(({ id }) => id)).toEqual([ids[0], ids[2], ids[3]])
    expect([first.data.length, rest.next]).toEqual([2, null])
    expect(await pointersIn(await ada.get("/api/v1/workspaces?limit=0&cursor=x&name=y"))).toEqual(["?limit", "?name"])
    expect(await pointersIn(await ada.get("/api/v1/workspaces?cursor=x"))).toEqual(["?cursor"])
  })
})

describe("a workspace", () => {
  it("is renamed by its admins, and the list follows", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "admin")
    const path = `/api/v1/workspaces/${ada.workspaceId}`
    const renamed = await eve.patch(path, { name: "Crew" })
    expect(costOf(renamed).trips).toBeLessThanOrEqual(3)
    expect(await profileIn(renamed)).toMatchObject({ name: "Crew", revision: 2 })
    expect((await mine(ada)).map(({ name }) => name)).toEqual(["Crew"])
    expect(await profileIn(await ada.get(path))).toMatchObject({ name: "Crew" })
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "workspace.updated",
      subjectId: ada.workspaceId,
      actorId: eve.userId,
      data: { before: { name: "Ada's workspace" }, after: { name: "Crew" } },
    })
    await problemIn(await ada.patch(path, { name: "Late" }, { "if-match": '"1"' }), 412)
    const unchanged = await ada.patch(path, { name: "Crew" })
    expect(await profileIn(unchanged)).toMatchObject({ revision: 2 })
  })

  it("is not renamed by members and guests", async () => {
    const ada = await newCaller()
    for (const role of ["member", "guest"] as const) {
      const eve = await joined(ada, role)
      await problemIn(await eve.patch(`/api/v1/workspaces/${ada.workspaceId}`, { name: "Mine" }), 403)
    }
  })

  it("that is not the active one is not at hand", async () => {
    const ada = await newCaller()
    const { id } = await found(ada, "Second")
    const problem = await problemIn(await ada.get(`/api/v1/workspaces/${id}`), 404)
    expect(problem.detail).toContain("switch to it first")
  })
})

describe("a deleted workspace", () => {
  const cutOffBeforeDirectory = () =>
    openApp({
      database: between((batch) =>
        batch.sql.some((text) => text.startsWith('update "workspaces"'))
          ? Promise.reject(new Error("gone"))
          : batch.run(),
      ),
    })
  const deletedAt = async (caller: Caller, id: string) => (await mine(caller)).find((one) => one.id === id)?.deletedAt

  it("of which the directory was not told is set right by the repeat", async () => {
    const ada = await newCaller()
    const path = `/api/v1/workspaces/${ada.workspaceId}`
    await problemIn(await ada.through(await cutOffBeforeDirectory()).delete(path), 500)
    expect(await deletedAt(ada, ada.workspaceId)).toBeNull()
    await problemIn(await ada.delete(path), 404)
    expect(await deletedAt(ada, ada.workspaceId)).not.toBeNull()
    expect((await ada.put(`${path}/restoration`)).status).toBe(200)
    expect(await deletedAt(ada, ada.workspaceId)).toBeNull()
  })

  it("that has been restored, of which the directory was not told, is entered all the same and set right", async () => {
    const ada = await newCaller()
    const path = `/api/v1/workspaces/${ada.workspaceId}`
    await ada.delete(path)
    await problemIn(await ada.through(await cutOffBeforeDirectory()).put(`${path}/restoration`), 500)
    expect(await deletedAt(ada, ada.workspaceId)).not.toBeNull()
    expect((await login(ada)).workspace.id).toBe(ada.workspaceId)
    expect(await deletedAt(ada, ada.workspaceId)).toBeNull()
  })

  it("of which the directory was not told is set right by whoever looks for it", async () => {
    const ada = await newCaller()
    await ada.through(await cutOffBeforeDirectory()).delete(`/api/v1/workspaces/${ada.workspaceId}`)
    await problemIn(await post(ada, "refresh", { refreshToken: ada.refreshToken }), 401)
    expect(await deletedAt(ada, ada.workspaceId)).not.toBeNull()
  })

  it("takes nothing more, lets nobody refresh, and comes back as it was", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "admin")
    const path = `/api/v1/workspaces/${ada.workspaceId}`
    await problemIn(await eve.delete(path), 403)
    expect((await ada.delete(path)).status).toBe(204)
    await problemIn(await ada.delete(path), 404)

    const refused = await problemIn(await eve.post("/api/v1/tasks", { projectId: ada.inboxId, title: "Late" }), 404)
    expect(refused.detail).toBe("This workspace has been deleted")
    await problemIn(await post(eve, "refresh", { refreshToken: eve.refreshToken }), 401)
    const elsewhere = await login(ada)
    expect(elsewhere.workspace.id).not.toBe(ada.workspaceId)

    const restoring = (token: string) =>
      ada.app.fetch(`${path}/restoration`, { method: "PUT", headers: { authorization: `Bearer ${token}` } })
    await problemIn(await restoring((await login(eve)).accessToken), 403)
    expect(await profileIn(await restoring(elsewhere.accessToken))).toMatchObject({ id: ada.workspaceId })
    const back = await signedInTo(ada, ada)
    expect((await newTask(back)).key).toBe("INBOX-1")
    expect((await eventsOf(back)).map(({ type }) => type).slice(-3)).toEqual([
      "workspace.deleted",
      "workspace.restored",
      "task.created",
    ])
  })

  it("cannot be restored after 30 days, and is no longer listed", async () => {
    const ada = await newCaller()
    await ada.delete(`/api/v1/workspaces/${ada.workspaceId}`)
    const elsewhere = await login(ada)
    const there = { authorization: `Bearer ${elsewhere.accessToken}` }
    expect((await mine(ada)).map(({ deletedAt }) => deletedAt !== null).sort()).toEqual([false, true])
    const long = Date.now() - 31 * 86_400_000
    await execute("update profiles set deleted_at = ? where workspace_id = ?", long, ada.workspaceId)
    await execute("update workspaces set deleted_at = ? where id = ?", long, ada.workspaceId)
    const path = `/api/v1/workspaces/${ada.workspaceId}/restoration`
    await problemIn(await ada.app.fetch(path, { method: "PUT", headers: there }), 409)
    expect(await mine(ada)).toHaveLength(1)
  })

  it("is unknown to whoever does not belong to it", async () => {
    const ada = await newCaller()
    const stranger = await newCaller()
    await ada.delete(`/api/v1/workspaces/${ada.workspaceId}`)
    await problemIn(await stranger.put(`/api/v1/workspaces/${ada.workspaceId}/restoration`), 404)
    await problemIn(await stranger.put("/api/v1/workspaces/x/restoration"), 404)
  })
})

describe("somebody who belongs to no workspace any more", () => {
  it("is given one of their own at the next sign-in", async () => {
    const ada = await newCaller()
    await ada.delete(`/api/v1/workspaces/${ada.workspaceId}`)
    const { workspace, accessToken } = await login(ada)
    expect(workspace.id).not.toBe(ada.workspaceId)
    expect((await login(ada)).workspace).toEqual(workspace)
    const answer = await ada.app.fetch("/api/v1/me", { headers: { authorization: `Bearer ${accessToken}` } })
    expect(Me.parse(await answer.json()).workspace).toEqual({ id: workspace.id, role: "owner" })
    expect(await rowsOf("select role from members where workspace_id = ?", workspace.id)).toEqual([{ role: "owner" }])
  })
})
