import { runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { beforeEach, describe, expect, it } from "vitest"
import * as purging from "../../src/events/jobs/deleted-workspaces.ts"
import { day } from "../../src/lib/time.ts"
import { newAddress, newCaller, newTask, password } from "../support/caller.ts"
import { execute, rowsOf } from "../support/database.ts"
import { between } from "../support/faults.ts"
import { hubs, justBefore, run, runFrom } from "../support/jobs.ts"
import { insertAll, seedTasks } from "../support/seed.ts"
import { fillWorkspace, ofWorkspaces, rowsLeft } from "../support/whole-workspace.ts"

const { deletedWorkspaces, purgedAfter } = purging
const longAgo = () => Date.now() - purgedAfter - day

/** Everything that is due is done away with, whatever other tests have left. */
beforeEach(async () => {
  await execute("delete from jobs")
  for (let n = 0; n < 20; n += 1) if ((await run(deletedWorkspaces)).done === 0) return
})

const purgeAll = async (first: string, limit = 40) => {
  const runs = []
  for (let cursor: string | null = justBefore(first); runs.length < limit; ) {
    const told = await runFrom(deletedWorkspaces, cursor)
    runs.push(told)
    if (told.error) throw told.error
    if (told.done === 0) return runs
    cursor = told.cursor ?? justBefore(first)
  }
  throw new Error("No end")
}

describe("the job of deleted workspaces", () => {
  it("leaves nothing of one whose time is over, in any table, and everything of every other one", async () => {
    const [gone, other, deleted] = [
      await fillWorkspace(longAgo()),
      await fillWorkspace(null),
      await fillWorkspace(Date.now() - 30 * day),
    ]
    const full = await rowsLeft(gone.workspaceId)
    expect(Object.keys(full).sort()).toEqual([...ofWorkspaces.map(({ name }) => name), "workspaces"].sort())

    const told = await runFrom(deletedWorkspaces, justBefore(gone.workspaceId))
    expect(told).toMatchObject({ cursor: null, done: Object.keys(full).length - 2 })
    expect(told.error).toBeUndefined()
    expect(told.lagMs).toBeGreaterThanOrEqual(day)
    expect(told.lagMs).toBeLessThan(day + 60_000)
    expect(await rowsLeft(gone.workspaceId)).toEqual({})
    for (const { workspaceId } of [other, deleted]) expect(await rowsLeft(workspaceId)).toEqual(full)
    expect(await runFrom(deletedWorkspaces, justBefore(gone.workspaceId))).toMatchObject({ done: 0, lagMs: 0 })
  })

  it("believes the workspace, and the directory only where there is no workspace any more", async () => {
    const [restored, left, halfGone] = [
      await fillWorkspace(null),
      await fillWorkspace(longAgo()),
      await fillWorkspace(longAgo()),
    ]
    await execute("update workspaces set deleted_at = 1 where id = ?", restored.workspaceId)
    await execute("update workspaces set deleted_at = null where id = ?", left.workspaceId)
    await execute("delete from profiles where workspace_id = ?", halfGone.workspaceId)
    await runFrom(deletedWorkspaces, justBefore(restored.workspaceId))
    expect(Object.keys(await rowsLeft(restored.workspaceId)).length).toBe(ofWorkspaces.length + 1)
    expect(await rowsLeft(left.workspaceId)).toEqual({})
    expect(await rowsLeft(halfGone.workspaceId)).toEqual({})
  })

  it("takes a large one away in bounded parts, and comes to the next one", async () => {
    const [large, next] = [await fillWorkspace(longAgo()), await fillWorkspace(longAgo())]
    const inboxId = `${large.workspaceId} projects`
    await seedTasks({ ...large, inboxId } as never, 12_000)
    const runs = await purgeAll(large.workspaceId)
    const done = runs.map((each) => each.done)
    expect(Math.max(...done)).toBeLessThanOrEqual(purging.budget)
    expect(runs.length).toBeGreaterThanOrEqual(4)
    expect(Math.max(...runs.map(({ trips }) => trips))).toBeLessThanOrEqual(130)
    expect([await rowsLeft(large.workspaceId), await rowsLeft(next.workspaceId)]).toEqual([{}, {}])
  })

  it("is resumed when it is killed, at whichever statement that was", async () => {
    const survived: number[] = []
    for (let at = 0; at < 40; at += 3) {
      const { workspaceId } = await fillWorkspace(longAgo())
      let writes = 0
      const dying = between((batch) => {
        if (batch.sql.some((text) => /^\s*(delete|update)/i.test(text))) writes += 1
        return writes > at ? Promise.reject(new Error("killed")) : batch.run()
      })
      const told = await runFrom(deletedWorkspaces, justBefore(workspaceId), { database: dying })
      if (told.error) {
        // As long as anything is left, the directory has it, and the next run finds it.
        const left = await rowsLeft(workspaceId)
        expect(left).toHaveProperty("workspaces")
        survived.push(Object.keys(left).length)
      }
      await runFrom(deletedWorkspaces, justBefore(workspaceId))
      expect(await rowsLeft(workspaceId), `killed at ${at}`).toEqual({})
    }
    // It was killed in the middle, too, and not only before anything was done.
    expect(survived.length).toBeGreaterThan(5)
    expect(Math.min(...survived)).toBeLessThan(8)
  })

  it("harms nobody when it runs twice at once", async () => {
    const all = await Promise.all([1, 2, 3].map(() => fillWorkspace(longAgo())))
    const runs = await Promise.all([run(deletedWorkspaces), run(deletedWorkspaces)])
    expect(runs.map(({ error }) => error)).toEqual([null, null])
    for (const { workspaceId } of all) expect(await rowsLeft(workspaceId)).toEqual({})
  })

  it("goes on past one that fails, and tells of it", async () => {
    const all = [await fillWorkspace(longAgo()), await fillWorkspace(longAgo())]
    const [broken, fine] = all as [(typeof all)[number], (typeof all)[number]]
    const told = await runFrom(deletedWorkspaces, justBefore(broken.workspaceId), {
      hubs: {
        forget: (id) => (id === broken.workspaceId ? Promise.reject(new Error("unreachable")) : hubs.forget(id)),
      },
    })
    expect(String(told.error)).toContain("unreachable")
    expect(await rowsLeft(fine.workspaceId)).toEqual({})
    expect(await rowsLeft(broken.workspaceId)).toEqual({ workspaces: 1 })
    await runFrom(deletedWorkspaces, justBefore(broken.workspaceId))
    expect(await rowsLeft(broken.workspaceId)).toEqual({})
  })

  it("does away with what its hub has stored", async () => {
    const ada = await newCaller()
    await newTask(ada)
    await hubs.catchUp(ada.workspaceId)
    const hub = env.WORKSPACE_HUB.getByName(ada.workspaceId)
    const stored = () =>
      runInDurableObject(hub, async (_hub, { storage }) => ({
        tables: storage.sql.exec("select name from sqlite_master where name not like '\\_cf%' escape '\\'").toArray()
          .length,
        alarm: (await storage.getAlarm()) !== null,
      }))
    // Cursors are stored within the second.
    await expect.poll(async () => (await stored()).tables, { timeout: 5_000 }).toBeGreaterThan(0)
    expect((await stored()).alarm).toBe(true)
    await ada.delete(`/api/v1/workspaces/${ada.workspaceId}`)
    await execute("update profiles set deleted_at = 1 where workspace_id = ?", ada.workspaceId)
    // The deletion itself is told after its answer.
    await expect.poll(async () => (await hubs.status(ada.workspaceId)).lanes?.inbox.seq ?? 0).toBeGreaterThan(2)
    await runFrom(deletedWorkspaces, justBefore(ada.workspaceId))
    expect(await rowsLeft(ada.workspaceId)).toEqual({})
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(await stored()).toEqual({ tables: 0, alarm: false })
    expect(await hubs.status(ada.workspaceId)).toEqual({ lanes: null, parked: [] })
  })

  it("lets whoever made it sign in, at any moment of it, and brings nothing back", async () => {
    const ada = await newCaller()
    const login = () =>
      ada.app.fetch("/api/v1/auth/login", {
        method: "POST",
        headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
        body: JSON.stringify({ email: ada.email, password }),
      })
    await ada.delete(`/api/v1/workspaces/${ada.workspaceId}`)
    await execute("update profiles set deleted_at = 1 where workspace_id = ?", ada.workspaceId)
    let times = 0
    const meeting = between(async (batch) => {
      const found = await batch.run()
      if (batch.sql.some((text) => /^\s*delete/i.test(text))) {
        times += 1
        expect((await login()).status).toBe(200)
        const refreshed = await ada.app.fetch("/api/v1/auth/refresh", {
          method: "POST",
          headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
          body: JSON.stringify({ refreshToken: ada.refreshToken }),
        })
        expect([200, 401]).toContain(refreshed.status)
      }
      return found
    })
    const told = await runFrom(deletedWorkspaces, justBefore(ada.workspaceId), { database: meeting })
    expect(told.error).toBeUndefined()
    expect(times).toBeGreaterThan(3)
    expect(await rowsLeft(ada.workspaceId)).toEqual({})
    const mine = await rowsOf("select workspace_id from memberships where user_id = ?", ada.userId)
    expect(mine).toHaveLength(1)
  })

  it("looks at a window of the directory in each run", async () => {
    const rows = Array.from({ length: purging.window + 50 }, (_, n) => ({
      id: `wsp_0${String(n).padStart(25, "0")}`,
      name: "x",
      inboxId: "x",
      createdBy: "x",
      createdAt: 1,
      deletedAt: null,
    }))
    await insertAll("workspaces", rows)
    const first = await runFrom(deletedWorkspaces, null)
    expect(first).toMatchObject({ examined: purging.window, done: 0, cursor: rows[purging.window - 1]?.id })
    expect(first.rowsRead).toBeLessThanOrEqual(5 * purging.window)
    const second = await runFrom(deletedWorkspaces, first.cursor)
    expect(second.examined).toBeGreaterThanOrEqual(50)
    expect(second.cursor).toBeNull()
    await execute("delete from workspaces where name = 'x'")
  })
})
