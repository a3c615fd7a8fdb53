import { beforeAll, describe, expect, it } from "vitest"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newCaller,
  newProject,
  newTask,
  pointersIn,
  problemIn,
  taskIn,
} from "../support/caller.ts"

let ada: Caller
let eve: Caller

beforeAll(async () => {
  ada = await newCaller()
  eve = await newCaller()
})

describe("POST /tasks", () => {
  it("creates a task with the defaults, a key and revision 1, in one round trip", async () => {
    const project = await newProject(ada, { name: "Web Site" })
    const answer = await ada.post("/api/v1/tasks", { projectId: project.id, title: "  Say hello ✓ " })
    const task = await taskIn(answer)

    expect(task).toMatchObject({
      key: `${project.key}-1`,
      projectId: project.id,
      parentId: null,
      title: "Say hello ✓",
      description: "",
      status: "todo",
      priority: 0,
      assigneeIds: [],
      start: null,
      due: null,
      revision: 1,
      createdBy: ada.userId,
      completedAt: null,
    })
    expect(answer.headers.get("location")).toBe(`/api/v1/tasks/${task.id}`)
    expect(answer.headers.get("etag")).toBe('"1"')
    expect(costOf(answer)).toMatchObject({ trips: 1 })
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })
})
