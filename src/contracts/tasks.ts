import * as z from "zod"
import { isTaskName } from "../lib/ids.ts"
import { isPosition, longestPosition } from "../lib/positions.ts"
import {
  Base,
  Cursor,
  calendarDate,
  chosenId,
  id,
  instant,
  Limit,
  line,
  markdown,
  page,
  Revision,
  refuseTwinIds,
  sortBy,
  Time,
  words,
} from "./common.ts"

export const statuses = ["todo", "in_progress", "done", "cancelled"] as const
export const Status = z.enum(statuses).meta({ id: "Status" })
export const Priority = z.int().min(0).max(4).meta({ description: "0 none, 1 low, 2 medium, 3 high, 4 urgent" })

/** A day in whatever zone the reader is in, or an instant. */
export const When = z
  .union([z.strictObject({ date: calendarDate() }), z.strictObject({ at: instant() })], {
    error: 'must be {"date": "2026-01-31"} or {"at": "2026-01-31T09:00:00Z"}',
  })
  .nullable()

const Position = z
  .string()
  .max(longestPosition)
  .refine(isPosition, { error: "must be a fractional index" })
  .meta({ description: "Orders tasks by character code; made between two others by the fractional-indexing library" })

function refuseTwins({ value, issues }: z.core.ParsePayload<string[]>): void {
  for (const [index, named] of value.entries()) {
    if (value.indexOf(named) < index) {
      issues.push({ code: "custom", input: named, path: [index], message: "is there twice" })
    }
  }
}

export const assigneesAtMost = 20
export const labelsAtMost = 50

const atMost = (count: number) => ({ error: `must have at most ${count} entries` })

const assigneeIds = z
  .array(id("user"))
  .max(assigneesAtMost, atMost(assigneesAtMost))
  .check(refuseTwins)
  .meta({ description: "Members who see the project" })

const labelIds = z.array(id("label")).max(labelsAtMost, atMost(labelsAtMost)).check(refuseTwins)

export const Task = z
  .object({
    id: id("task"),
    key: z.string().meta({ description: "WEB-42; usable wherever a path takes a task's id" }),
    projectId: id("project"),
    parentId: id("task").nullable(),
    title: z.string(),
    description: z.string(),
    status: Status,
    priority: Priority,
    assigneeIds: z.array(id("user")),
    labelIds: z.array(id("label")),
    start: When,
    due: When,
    position: z.string(),
    revision: Revision,
    createdBy: id("user"),
    createdAt: Time,
    updatedAt: Time,
    completedAt: Time.nullable(),
  })
  .meta({ id: "Task" })

export type TaskView = z.output<typeof Task>
export type TaskField = keyof TaskView
export const taskFields = Task.keyof().options as [TaskField, ...TaskField[]]
export const taskIncludes = ["project", "assignees", "labels", "progress", "following"] as const

/** With `fields` only those and `id` are there; with `include` what they refer to stands beside them. */
export const TaskAnswer = Task.partial()
  .required({ id: true })
  .extend({
    project: z.object({ id: id("project"), key: z.string(), name: z.string() }).optional(),
    assignees: z.array(z.object({ id: id("user"), name: z.string() })).optional(),
    labels: z.array(z.object({ id: id("label"), name: z.string(), color: z.string() })).optional(),
    progress: z
      .object({ total: z.int(), done: z.int() })
      .optional()
      .meta({ description: "How many subtasks stand directly under it, counted up to 1,000, and how many are done" }),
    isFollowed: z.boolean().optional().meta({ description: "Whether you follow it, with `include=following`" }),
  })
  .meta({ id: "TaskAnswer" })

export type TaskAnswerView = z.output<typeof TaskAnswer>

const content = {
  title: line(500),
  description: markdown(65_536),
  status: Status,
  priority: Priority,
  assigneeIds,
  labelIds,
  start: When,
  due: When,
  position: Position,
}

export const NewTask = z.strictObject({
  id: chosenId("task"),
  ...content,
  projectId: id("project"),
  parentId: id("task").nullable().default(null).meta({ description: "A task of the same project" }),
  description: content.description.default(""),
  status: Status.default("todo"),
  priority: Priority.default(0),
  assigneeIds: assigneeIds.default([]),
  labelIds: labelIds.default([]),
  start: When.default(null),
  due: When.default(null),
  position: Position.optional().meta({ description: "At the end when omitted" }),
})

export type NewTaskInput = z.output<typeof NewTask>

export const NewTasks = z.strictObject({ tasks: z.array(NewTask).min(1).max(100).check(refuseTwinIds) })
export const TaskList = z.object({ data: z.array(Task) })

export const TaskPatch = z.strictObject({
  ...z.object(content).partial().shape,
  parentId: id("task").nullable().optional().meta({ description: "A task of the same project" }),
  revision: Revision.optional(),
  base: Base,
})
export type TaskPatchInput = z.output<typeof TaskPatch>

export const TaskMove = z.strictObject({ projectId: id("project"), revision: Revision.optional() })

const TaskName = z.string().refine(isTaskName, { error: "must be the id or the key of a task" })

export const TaskPlace = z
  .strictObject({
    after: TaskName.optional().meta({ description: "A task of the same project, to stand right after it" }),
    before: TaskName.optional().meta({ description: "A task of the same project, to stand right before it" }),
    revision: Revision.optional(),
  })
  .refine(({ after, before }) => (after === undefined) !== (before === undefined), {
    error: "takes either after or before",
    path: ["after"],
  })
export type TaskPlaceInput = z.output<typeof TaskPlace>

export const TaskPath = z.object({ idOrKey: z.string().meta({ description: "Id or key of a task" }) })

export const taskSorts = ["position", "created", "updated", "due"] as const

const projection = { fields: words(taskFields).optional(), include: words(taskIncludes).optional() }

const instantOrDate = z.union([instant(), calendarDate()], { error: "must be a date or a time in RFC 3339" })

const lists = {
  parent: id("task").optional(),
  assignee: z.union([z.literal("me"), id("user")], { error: "must be me or the id of a user" }).optional(),
  label: id("label").optional(),
  status: words(statuses).optional(),
  priority: words(["0", "1", "2", "3", "4"]).optional(),
  dueBefore: instantOrDate.optional().meta({
    description: "Due earlier than this; a task due on a day is due at that day's end in UTC",
  }),
  dueAfter: instantOrDate.optional().meta({ description: "Due at this time or later" }),
  updatedAfter: instant().optional(),
  sort: sortBy(taskSorts).optional(),
  limit: Limit,
  cursor: Cursor.optional(),
  ...projection,
}

export const TaskQuery = z.strictObject({ project: id("project").optional(), ...lists })
export type TaskQueryInput = z.output<typeof TaskQuery>
export const ProjectTaskQuery = z.strictObject(lists)
export const OneTaskQuery = z.strictObject(projection)
export type ProjectionInput = z.output<typeof OneTaskQuery>
export const TaskPage = page(TaskAnswer)
