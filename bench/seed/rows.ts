// The rows of a seeded instance, the same on every database: as the API would have written them, but for their events.

export type Value = string | number | boolean | null
export type SeedRow = { table: string; columns: Record<string, Value> }

export type Plan = {
  workspaces: number
  /** Of each workspace, its owner included. */
  members: number
  projects: number
  tasksPerProject: number
  labels: number
  /** How many tasks of the first project hang under its first one. */
  subtasks: number
}

export const password = "a long passphrase"

/** Somebody who asks: an owner, for they see what there is. */
export type Viewer = {
  userId: string
  workspaceId: string
  email: string
  projects: { id: string; taskIds: string[]; openTaskIds: string[] }[]
  labelIds: string[]
}

const neverDue = 8_640_000_000_000_000
const day = 86_400_000
const firstDay = Date.parse("2026-01-01T00:00:00Z")

/** Sorts by `n`, and before every id that is made today. */
const nthId = (prefix: string, n: number) => `${prefix}_01${String(n).padStart(24, "0")}`

/** Spreads neighbours far apart, and always the same way. */
export function scattered(n: number): number {
  const mixed = Math.imul(n ^ (n >>> 15), 0x2c1b3c6d)
  return (mixed ^ (mixed >>> 12)) >>> 0
}

// Two letters, then three: as keys of projects are.
function letters(n: number): string {
  const last = String.fromCharCode(65 + (n % 26))
  return n < 26 ? `A${last}` : `${letters(Math.floor(n / 26) - 1)}${last}`
}

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
/** The nth fractional index of a list that was only ever appended to. */
const nthPosition = (n: number) =>
  `d${[238_328, 3_844, 62, 1].map((unit) => digits.charAt(Math.floor(n / unit) % 62)).join("")}`

const statuses = ["todo", "todo", "todo", "todo", "todo", "in_progress", "in_progress", "done", "done", "cancelled"]
const statusOf = (n: number) => statuses[scattered(n) % statuses.length] ?? "todo"
const isOpen = (n: number) => ["todo", "in_progress"].includes(statusOf(n))

type Names = { projectId: (p: number) => string; taskId: (i: number) => string; userId: (m: number) => string }

/** How the parts of the nth workspace are called. Tasks are numbered through it, and dealt to its projects in turn. */
function namesIn(plan: Plan, workspace: number): Names {
  const tasks = plan.projects * plan.tasksPerProject
  return {
    userId: (m) => nthId("usr", workspace * plan.members + m),
    projectId: (p) => nthId("prj", workspace * (plan.projects + 1) + p + 1),
    taskId: (i) => nthId("tsk", workspace * tasks + i),
  }
}

const emailOf = (workspace: number, m: number) => `member-${m}@workspace-${workspace}.example.com`

/** The owner of each workspace. */
export function viewersOf(plan: Plan): Viewer[] {
  return Array.from({ length: plan.workspaces }, (_, workspace) => {
    const { userId, projectId, taskId } = namesIn(plan, workspace)
    const projects = Array.from({ length: plan.projects }, (_, p) => {
      const numbers = Array.from({ length: plan.tasksPerProject }, (_, i) => i * plan.projects + p)
      return { id: projectId(p), taskIds: numbers.map(taskId), openTaskIds: numbers.filter(isOpen).map(taskId) }
    })
    const labelIds = Array.from({ length: plan.labels }, (_, n) => nthId("lbl", workspace * plan.labels + n))
    return { userId: userId(0), workspaceId: nthId("wsp", workspace), email: emailOf(workspace, 0), projects, labelIds }
  })
}

/** Everybody in a workspace, its owner first. */
export function membersOf(plan: Plan, workspace: number): Viewer[] {
  const { userId } = namesIn(plan, workspace)
  const owner = viewersOf(plan)[workspace] as Viewer
  return Array.from({ length: plan.members }, (_, m) => ({
    ...owner,
    userId: userId(m),
    email: emailOf(workspace, m),
  }))
}

/** Every row, each after those that it refers to. `secret` is the hash of everybody's password. */
export function* rowsOf(plan: Plan, secret: string): Generator<SeedRow> {
  for (let workspace = 0; workspace < plan.workspaces; workspace += 1) {
    yield* peopleOf(plan, workspace, secret)
    yield* projectsOf(plan, workspace)
    yield* tasksOf(plan, workspace)
  }
}

const madeAt = { revision: 1, created_at: firstDay, updated_at: firstDay }

function* peopleOf(plan: Plan, workspace: number, secret: string): Generator<SeedRow> {
  const { userId, projectId } = namesIn(plan, workspace)
  const workspace_id = nthId("wsp", workspace)
  const name = `Workspace ${workspace}`
  const founded = { inbox_id: projectId(-1), created_by: userId(0), created_at: firstDay }
  yield { table: "workspaces", columns: { id: workspace_id, name, ...founded } }
  yield { table: "profiles", columns: { workspace_id, name, ...madeAt } }
  const seq = plan.projects * plan.tasksPerProject + plan.projects + plan.members
  yield { table: "heads", columns: { workspace_id, seq, pumped_seq: seq } }
  for (let m = 0; m < plan.members; m += 1) {
    const [user_id, email] = [userId(m), emailOf(workspace, m)]
    const person = `Member ${m}`
    yield { table: "users", columns: { id: user_id, email, name: person, time_zone: "UTC", ...madeAt } }
    const identity = { provider: "password", subject: email, user_id, secret, updated_at: firstDay }
    yield { table: "identities", columns: identity }
    yield { table: "memberships", columns: { user_id, workspace_id, created_at: firstDay } }
    const role = m === 0 ? "owner" : "member"
    yield { table: "members", columns: { workspace_id, user_id, role, name: person, ...madeAt } }
  }
}

function* projectsOf(plan: Plan, workspace: number): Generator<SeedRow> {
  const { userId, projectId } = namesIn(plan, workspace)
  const workspace_id = nthId("wsp", workspace)
  const shared = { description: "", visibility: "workspace", created_by: userId(0), ...madeAt }
  const inbox = { id: projectId(-1), key: "INBOX", name: "Inbox", is_inbox: true, task_counter: 0 }
  yield { table: "projects", columns: { workspace_id, ...inbox, ...shared } }
  for (let p = 0; p < plan.projects; p += 1) {
    const project = { id: projectId(p), key: letters(p), name: `Project ${p}`, is_inbox: false }
    yield { table: "projects", columns: { workspace_id, ...project, task_counter: plan.tasksPerProject, ...shared } }
  }
  for (let n = 0; n < plan.labels; n += 1) {
    const label = { id: nthId("lbl", workspace * plan.labels + n), name: `label ${n}`, name_key: `label ${n}` }
    yield { table: "labels", columns: { workspace_id, ...label, color: "#1d4ed8", created_by: userId(0), ...madeAt } }
  }
}

const description = "Some words on why this matters, and what is to be done. ".repeat(5)

/** What a new task says, through the API or not. */
export const taskText = (n: number) => ({ title: `Measure the thing with number ${n}`, description })

function* tasksOf(plan: Plan, workspace: number): Generator<SeedRow> {
  const { userId, projectId, taskId } = namesIn(plan, workspace)
  const workspace_id = nthId("wsp", workspace)
  const count = plan.projects * plan.tasksPerProject
  for (let i = 0; i < count; i += 1) {
    const [task_id, chance] = [taskId(i), scattered(i)]
    const [p, place] = [i % plan.projects, Math.floor(i / plan.projects)]
    const isSubtask = p === 0 && place > 0 && place <= plan.subtasks
    const created_at = firstDay + Math.floor((i / count) * 300 * day)
    const updated_at = created_at + (chance % (30 * day))
    const due_at = chance % 10 < 6 ? created_at + (scattered(chance) % (90 * day)) : null
    const due_sort = due_at ?? neverDue
    const status = statusOf(i)
    const task = {
      id: task_id,
      project_id: projectId(p),
      parent_id: isSubtask ? taskId(0) : null,
      key: `${letters(p)}-${place + 1}`,
      ...taskText(i),
      status,
      priority: chance % 5,
      due_at,
      due_sort,
      position: nthPosition(place),
      revision: 1,
      created_by: userId(0),
      created_at,
      updated_at,
      completed_at: status === "done" ? updated_at : null,
    }
    yield { table: "tasks", columns: { workspace_id, ...task } }
    // Dealt in turn and not by chance, so that nobody and no label goes short of a full page in a small workspace.
    const user_id = userId(place % plan.members)
    if (chance % 10 < 9) yield { table: "task_assignees", columns: { workspace_id, task_id, user_id, due_sort } }
    if (plan.labels > 0 && i % 2 === 0) {
      const label_id = nthId("lbl", workspace * plan.labels + (place % plan.labels))
      yield { table: "task_labels", columns: { workspace_id, task_id, label_id } }
    }
  }
}
