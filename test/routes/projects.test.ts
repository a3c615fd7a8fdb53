import { beforeAll, describe, expect, it } from "vitest"
import { keyCandidates } from "../../src/domain/projects.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newCaller,
  newProject,
  newTask,
  pageIn,
  pointersIn,
  problemIn,
  projectIn,
} from "../support/caller.ts"

let ada: Caller
let eve: Caller

beforeAll(async () => {
  ada = await newCaller()
  eve = await newCaller()
})

describe("POST /projects", () => {
  it("creates a project with a key from its name, in one round trip", async () => {
    const answer = await ada.post("/api/v1/projects", { name: "Größe & Ästhetik", description: "Markdown" })
    const project = await projectIn(answer)
    expect(project).toMatchObject({
      key: "GA",
      name: "Größe & Ästhetik",
      description: "Markdown",
      isInbox: false,
      revision: 1,
      createdBy: ada.userId,
    })
    expect(answer.headers.get("location")).toBe(`/api/v1/projects/${project.id}`)
    expect(answer.headers.get("etag")).toBe('"1"')
    expect(costOf(answer).trips).toBe(1)
    expect(await historyOf(ada, project.id)).toEqual(["project.created"])
    expect((await eventsOf(ada)).at(-1)).toMatchObject({ subjectKey: "GA", projectId: project.id })
  })

  it("suffixes a key that is taken, also when ten are created at once", async () => {
    const projects = await Promise.all(Array.from({ length: 10 }, () => newProject(ada, { name: "Twin" })))
    const keys = projects.map(({ key }) => key).sort()
    expect(keys).toEqual(["TWI", "TWI10", "TWI2", "TWI3", "TWI4", "TWI5", "TWI6", "TWI7", "TWI8", "TWI9"])
  })

  it("never gives a deleted project's key again", async () => {
    const gone = await newProject(ada, { name: "Quasar" })
    await ada.delete(`/api/v1/projects/${gone.id}`)
    expect((await newProject(ada, { name: "Quasar" })).key).toBe("QUA2")
  })

  it("takes a key that is asked for, and refuses one that is taken", async () => {
    expect((await newProject(ada, { name: "Anything", key: "ZETA" })).key).toBe("ZETA")
    const problem = await problemIn(await ada.post("/api/v1/projects", { name: "Else", key: "ZETA" }), 409)
    expect(problem.errors).toEqual([{ pointer: "/key", detail: "belongs to another project of this workspace" }])
    expect((await newProject(eve, { name: "Hers", key: "ZETA" })).key).toBe("ZETA")
  })

  const wrong: [string, Record<string, unknown>, string][] = [
    ["no name", { name: undefined }, "/name"],
    ["an empty name", { name: "" }, "/name"],
    ["a name of 201 characters", { name: "x".repeat(201) }, "/name"],
    ["a small-letter key", { key: "web" }, "/key"],
    ["a one-letter key", { key: "W" }, "/key"],
    ["a description that is no text", { description: [] }, "/description"],
    ["an unknown field", { isInbox: true }, "/isInbox"],
  ]
  for (const [name, input, pointer] of wrong) {
    it(`refuses ${name} and names the field`, async () => {
      expect(await pointersIn(await ada.post("/api/v1/projects", { name: "x", ...input }))).toEqual([pointer])
    })
  }
})

describe("a project's key", () => {
  const best: [string, string][] = [
    ["Website", "WEB"],
    ["Web Site", "WS"],
    ["a b c d e f g h", "ABCDEF"],
    ["Überall", "UBE"],
    ["日本", "PRJ"],
    ["7", "PRJ"],
    ["x", "PRJ"],
    ["wrangler-v4", "WV"],
  ]
  for (const [name, key] of best) {
    it(`of "${name}" is ${key}, when nobody has it`, () => {
      expect(keyCandidates(name, "prj_01j00000000000000000000000")[0]).toBe(key)
    })
  }
})

describe("GET /projects/:projectId", () => {
  it("answers in one round trip, and 304 to whoever has it", async () => {
    const project = await newProject(ada)
    const answer = await ada.get(`/api/v1/projects/${project.id}`)
    expect(costOf(answer).trips).toBe(1)
    expect(await projectIn(answer)).toEqual(project)
    expect((await ada.get(`/api/v1/projects/${project.id}`, { "if-none-match": '"1"' })).status).toBe(304)
  })

  it("does not know what is not there, malformed, or another workspace's", async () => {
    for (const id of ["prj_01j00000000000000000000000", "x", eve.inboxId]) {
      await problemIn(await ada.get(`/api/v1/projects/${id}`), 404)
    }
  })
})

describe("PATCH /projects/:projectId", () => {
  it("changes what it names, in two round trips, and tells the log", async () => {
    const project = await newProject(ada, { description: "Stays" })
    const answer = await ada.patch(`/api/v1/projects/${project.id}`, { name: "Renamed" })
    expect(costOf(answer).trips).toBe(2)
    expect(await projectIn(answer)).toMatchObject({
      name: "Renamed",
      description: "Stays",
      key: project.key,
      revision: 2,
    })
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "project.updated",
      data: { before: { name: "Website" }, after: { name: "Renamed" } },
    })
  })

  it("changes nothing when nothing differs, and refuses a stale revision and the key", async () => {
    const project = await newProject(ada)
    const path = `/api/v1/projects/${project.id}`
    expect(await projectIn(await ada.patch(path, { name: project.name }))).toEqual(project)
    await problemIn(await ada.patch(path, { name: "x" }, { "if-match": '"2"' }), 412)
    await problemIn(await ada.patch(path, { name: "x", revision: 2 }), 412)
    expect(await pointersIn(await ada.patch(path, { key: "NEW" }))).toEqual(["/key"])
    await problemIn(await eve.patch(path, { name: "x" }), 404)
  })
})

describe("DELETE /projects/:projectId", () => {
  it("hides the project and its tasks with one event", async () => {
    const project = await newProject(ada)
    const task = await newTask(ada, { projectId: project.id, assigneeIds: [ada.userId] })
    const from = (await eventsOf(ada)).length
    expect((await ada.delete(`/api/v1/projects/${project.id}`)).status).toBe(204)
    expect((await eventsOf(ada)).slice(from).map(({ type }) => type)).toEqual(["project.deleted"])

    for (const path of [
      `/projects/${project.id}`,
      `/tasks/${task.id}`,
      `/tasks/${task.key}`,
      `/projects/${project.id}/tasks`,
    ]) {
      await problemIn(await ada.get(`/api/v1${path}`), 404)
    }
    await problemIn(await ada.patch(`/api/v1/tasks/${task.id}`, { priority: 1 }), 404)
    await problemIn(await ada.put(`/api/v1/tasks/${task.id}/closure`), 404)
    for (const list of ["/tasks", "/tasks?assignee=me"]) {
      const { data } = await pageIn(await ada.get(`/api/v1${list}${list.includes("?") ? "&" : "?"}limit=200`))
      expect(data.map(({ id }) => id)).not.toContain(task.id)
    }
  })

  it("keeps the Inbox, and is 404 the second time", async () => {
    expect((await problemIn(await ada.delete(`/api/v1/projects/${ada.inboxId}`), 409)).code).toBe("conflict")
    const project = await newProject(ada)
    await problemIn(await eve.delete(`/api/v1/projects/${project.id}`), 404)
    expect((await ada.delete(`/api/v1/projects/${project.id}`)).status).toBe(204)
    await problemIn(await ada.delete(`/api/v1/projects/${project.id}`), 404)
  })
})
