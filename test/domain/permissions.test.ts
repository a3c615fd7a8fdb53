import { beforeAll, describe, expect, it } from "vitest"
import { openDb } from "../../src/db/db.ts"
import type { Ctx } from "../../src/domain/ctx.ts"
import * as events from "../../src/domain/events.ts"
import * as me from "../../src/domain/me.ts"
import * as projects from "../../src/domain/projects.ts"
import * as creation from "../../src/domain/task-creation.ts"
import * as lists from "../../src/domain/task-lists.ts"
import * as tasks from "../../src/domain/tasks.ts"
import { newId } from "../../src/lib/ids.ts"
import { type Caller, newCaller, newTask } from "../support/caller.ts"
import { database } from "../support/database.ts"

let ada: Caller
let taskId: string

beforeAll(async () => {
  ada = await newCaller()
  taskId = (await newTask(ada)).id
})

const guestCtx = (): Ctx => ({
  db: openDb(database.connect()),
  now: Date.now,
  newId,
  actor: { userId: ada.userId, role: "guest", sessionId: "ses_01j00000000000000000000000" },
  workspaceId: ada.workspaceId,
  source: "api",
  idempotency: null,
})

const draft = () => ({
  projectId: ada.inboxId,
  parentId: null,
  title: "x",
  description: "",
  status: "todo" as const,
  priority: 0,
  assigneeIds: [],
  start: null,
  due: null,
})

const verbs: Record<string, (ctx: Ctx) => Promise<unknown>> = {
  listEvents: (ctx) => events.listEvents(ctx, { after: 0, limit: 1 }),
  createProject: (ctx) => projects.createProject(ctx, { name: "x", description: "" }),
  getProject: (ctx) => projects.getProject(ctx, ada.inboxId),
  updateProject: (ctx) => projects.updateProject(ctx, ada.inboxId, { name: "x" }, null),
  deleteProject: (ctx) => projects.deleteProject(ctx, ada.inboxId, null),
  listProjects: (ctx) => projects.listProjects(ctx, { sort: "created", limit: 1 }),
  createTask: (ctx) => creation.createTask(ctx, draft()),
  createTasks: (ctx) => creation.createTasks(ctx, [draft()]),
  viewTask: (ctx) => tasks.viewTask(ctx, taskId, {}),
  updateTask: (ctx) => tasks.updateTask(ctx, taskId, { priority: 1 }, null),
  closeTask: (ctx) => tasks.closeTask(ctx, taskId, null),
  reopenTask: (ctx) => tasks.reopenTask(ctx, taskId, null),
  deleteTask: (ctx) => tasks.deleteTask(ctx, taskId, null),
  listTasks: (ctx) => lists.listTasks(ctx, { limit: 1 }),
  listProjectTasks: (ctx) => lists.listProjectTasks(ctx, ada.inboxId, { limit: 1 }),
}

// Everybody may look at themselves and change their name; these are no verbs but parts of them.
const open = new Set([
  "getMe",
  "updateMe",
  "commit",
  "commitNothing",
  "untilUncontested",
  "foundWorkspace",
  "renameMember",
])

describe("every verb", () => {
  it("is known to this test", () => {
    const asynchronous = [events, me, projects, creation, lists, tasks]
      .flatMap((module) => Object.entries(module))
      .filter(([, value]) => typeof value === "function" && value.constructor.name === "AsyncFunction")
      .map(([name]) => name)
    expect(asynchronous.filter((name) => !open.has(name)).sort()).toEqual(Object.keys(verbs).sort())
  })

  for (const [name, verb] of Object.entries(verbs)) {
    it(`refuses a guest before it asks the database: ${name}`, async () => {
      const ctx = guestCtx()
      await expect(verb(ctx)).rejects.toMatchObject({ code: "forbidden" })
      expect(ctx.db.meter.trips).toBe(0)
    })
  }
})
