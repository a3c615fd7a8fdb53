import { describe, expect, it } from "vitest"
import { readLog } from "../../src/domain/log.ts"
import type { News } from "../../src/domain/notifications.ts"
import type { Bindings } from "../../src/env.ts"
import { isOutage } from "../../src/events/outage.ts"
import { inboxReader, MoreToTell } from "../../src/events/to-inbox.ts"
import { newId } from "../../src/lib/ids.ts"
import { type Caller, newCaller, newProject, newTask } from "../support/caller.ts"
import { execute, withDb } from "../support/database.ts"
import { joined } from "../support/people.ts"

/** The hubs of people, which keep what they are told; some are out of order. */
function fakeHubs(broken: ReadonlyMap<string, Error> = new Map()) {
  const told: { userId: string; titles: string[] }[] = []
  const getByName = (userId: string) => ({
    async leaveWorkspace(_workspaceId: string, { seq }: { seq: number }) {
      told.push({ userId, titles: [`left ${seq}`] })
    },
    async notify(news: News[]) {
      const error = broken.get(userId)
      if (error) throw error
      told.push({ userId, titles: news.map(({ title }) => title) })
    },
  })
  return { told, USER_HUB: { getByName } as unknown as Bindings["USER_HUB"] }
}

const entriesOf = ({ workspaceId }: Caller, after = 0) =>
  withDb((db) => readLog(db, workspaceId, { after, limit: 200 }))

/** A project that five follow, with three tasks in it, and the log since. */
async function followed() {
  const ada = await newCaller()
  const project = await newProject(ada)
  const people: Caller[] = []
  for (let n = 0; n < 5; n += 1) {
    const person = await joined(ada, "member", `Follower ${n}`)
    await person.put(`/api/v1/projects/${project.id}/follower`)
    people.push(person)
  }
  const start = (await entriesOf(ada)).at(-1)?.seq ?? 0
  for (const title of ["A", "B", "C"]) await newTask(ada, { projectId: project.id, title })
  return { ada, people: people.map(({ userId }) => userId).toSorted(), entries: await entriesOf(ada, start) }
}

describe("the reader that tells people", () => {
  it("tells a few in one go, all that concerns them, and in the next those who are left", async () => {
    const { ada, people, entries } = await followed()
    const { told, USER_HUB } = fakeHubs()
    const reader = inboxReader({ USER_HUB }, { perGo: 2 })
    const read = (some = entries) =>
      withDb((db) => reader.read({ db, workspaceId: ada.workspaceId, now: Date.now, newId }, some))

    await expect(read()).rejects.toThrow(MoreToTell)
    expect(told.map(({ titles }) => titles)).toEqual([
      ["A", "B", "C"],
      ["A", "B", "C"],
    ])
    // As the lane does after that: the first of them alone, and then a batch that goes beyond where it was.
    await expect(read(entries.slice(0, 1))).rejects.toThrow(MoreToTell)
    await read(entries.slice(0, 1))
    const later = await newTask(ada, { projectId: String(entries[0]?.projectId), title: "D" })
    const all = [...entries.slice(1), ...(await entriesOf(ada, entries.at(-1)?.seq))]
    for (let tries = 0; tries < 10; tries += 1) {
      const isDone = await read(all).then(
        () => true,
        () => false,
      )
      if (isDone) break
    }
    for (const userId of people) {
      const theirs = told.filter((one) => one.userId === userId).flatMap(({ titles }) => titles)
      expect(theirs).toEqual(["A", "B", "C", later.title])
    }
  })

  it("lets those who leave forget what they were told, and tells those who are back of what came after", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const start = (await entriesOf(ada)).at(-1)?.seq ?? 0
    await newTask(ada, { assigneeIds: [bob.userId], title: "Before" })
    await ada.delete(`/api/v1/members/${bob.userId}`)
    await execute("update members set removed_at = null where user_id = ?", bob.userId)
    await newTask(ada, { assigneeIds: [bob.userId], title: "After" })
    const { told, USER_HUB } = fakeHubs()
    const entries = await entriesOf(ada, start)
    await withDb((db) =>
      inboxReader({ USER_HUB }).read({ db, workspaceId: ada.workspaceId, now: Date.now, newId }, entries),
    )
    const { seq } = entries.find(({ type }) => type === "member.removed") ?? {}
    expect(told.map(({ titles }) => titles)).toEqual([[`left ${seq}`], ["After"]])
  })

  it("holds against an entry what fails for somebody only once everybody else was told", async () => {
    const { ada, people, entries } = await followed()
    const { told, USER_HUB } = fakeHubs(new Map([[people[0] ?? "", new Error("out of order")]]))
    const reader = inboxReader({ USER_HUB })
    const read = () => withDb((db) => reader.read({ db, workspaceId: ada.workspaceId, now: Date.now, newId }, entries))
    await expect(read()).rejects.toThrow(MoreToTell)
    await expect(read()).rejects.toThrow("out of order")
    expect(told.map(({ userId }) => userId).toSorted()).toEqual(people.slice(1))
  })

  it("holds nothing against it while somebody else's hub is out of order", async () => {
    const { ada, people, entries } = await followed()
    const outage = Object.assign(new Error("reset"), { retryable: true })
    for (const [one, other] of [
      [new Error("poison"), outage],
      [outage, new Error("poison")],
    ] as const) {
      const { USER_HUB } = fakeHubs(
        new Map([
          [people[0] ?? "", one],
          [people[1] ?? "", other],
        ]),
      )
      const reader = inboxReader({ USER_HUB })
      const read = () =>
        withDb((db) => reader.read({ db, workspaceId: ada.workspaceId, now: Date.now, newId }, entries))
      await expect(read()).rejects.toThrow(MoreToTell)
      await expect(read()).rejects.toSatisfy(isOutage)
    }
  })
})
