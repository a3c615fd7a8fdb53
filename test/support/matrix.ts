import type { Permission } from "../../src/domain/permissions.ts"
import type { Level, Role } from "../../src/lib/roles.ts"
import { type Caller, newCaller, newProject, newTask } from "./caller.ts"
import { execute } from "./database.ts"
import { joined } from "./people.ts"

// What every route owes to every role in every kind of project. The expectations are written out here, and not taken
// from the code that they are to check.

/** How a project stands to whoever asks: open or private, naming them or not. */
export type Standing = "open" | "private" | `${"" | "open, "}named to ${Level}`

export const standings: Standing[] = [
  "open",
  "open, named to view",
  "open, named to edit",
  "open, named to manage",
  "private",
  "named to view",
  "named to comment",
  "named to complete",
  "named to edit",
  "named to manage",
]

const order: (Level | null)[] = [null, "view", "comment", "complete", "edit", "manage"]

/** What somebody may do in a project; null: they do not see it. */
export function reached(role: Role, standing: Standing): Level | null {
  if (role === "owner") return "manage"
  const open = standing.startsWith("open")
    ? { admin: "manage" as const, member: "edit" as const, guest: null }[role]
    : null
  return order[Math.max(order.indexOf(open), order.indexOf(levelNamed(standing)))] ?? null
}

const levelNamed = (standing: Standing) => (standing.split("named to ")[1] ?? null) as Level | null

export const suffices = (has: Level | null, needed: Level) => order.indexOf(has) >= order.indexOf(needed)

/** Somebody with a role, a project that stands to them in a certain way, and what is in it. */
export type Scene = {
  owner: Caller
  caller: Caller
  /** Another member, who can see everything that is open. */
  other: Caller
  projectId: string
  /** A task of the project that no other route of the matrix has touched. */
  taskId: string
  /** Another project that stands to them in the same way. */
  alike(): Promise<string>
}

export type Rule = {
  /** The scopes that an API key needs for it; null: it takes a person. */
  scopes: readonly Permission[] | null
  /** The roles that may; whoever else asks is told 403 before anything is looked up. */
  roles: readonly Role[]
  /** What it takes in the project. None: it is done in no project. */
  level?: Level
  /** What whoever does not see the project is told; 404 when omitted. */
  unseen?: number
  send(scene: Scene): Promise<Response> | Response
  /** What whoever may is told; 2xx when omitted. */
  status?: number
  /** It changes who is who, so it is tried in a workspace of its own. */
  isAlone?: boolean
}

export type Setting = {
  owner: Caller
  other: Caller
  people: Record<Role, Caller>
  /** A project for a role and a standing, with as many tasks as asked. */
  sceneOf(role: Role, standing: Standing, count: number): Promise<Scene[]>
}

export async function openSetting(): Promise<Setting> {
  const owner = await newCaller()
  const other = await joined(owner, "member", "Bob")
  const people = {
    owner: await joined(owner, "owner", "Olga"),
    admin: await joined(owner, "admin", "Adam"),
    member: await joined(owner, "member", "Mia"),
    guest: await joined(owner, "guest", "Gus"),
  }
  return {
    owner,
    other,
    people,
    async sceneOf(role, standing, count) {
      const caller = people[role]
      const alike = async () => {
        const visibility = standing.startsWith("open") ? "workspace" : "private"
        const { id } = await newProject(owner, { name: `${role} ${standing}`, visibility })
        const level = levelNamed(standing)
        if (!level) return id
        const named = await owner.put(`/api/v1/projects/${id}/members/${caller.userId}`, { level })
        if (!named.ok) throw new Error(`Cannot name a ${role} to ${level}: ${await named.text()}`)
        return id
      }
      const projectId = await alike()
      const tasks = Array.from({ length: count }, (_, n) => ({ projectId, title: `Task ${n}` }))
      const answer = await owner.post("/api/v1/tasks/bulk", { tasks })
      const { data } = (await answer.json()) as { data: { id: string }[] }
      return data.map(({ id: taskId }) => ({ owner, caller, other, projectId, taskId, alike }))
    },
  }
}

/** A scene that nobody else is in. */
export async function sceneAlone(role: Role): Promise<Scene> {
  const owner = await newCaller()
  const other = await joined(owner, "member", "Bob")
  const caller = await joined(owner, role, "Mia")
  const { id: projectId } = await newProject(owner)
  const { id: taskId } = await newTask(owner, { projectId })
  const alike = async () => (await newProject(owner)).id
  return { owner, caller, other, projectId, taskId, alike }
}

/** Makes a member something else behind the back of their token, while `act` runs. */
export async function demoted(caller: Caller, from: Role, to: Role, act: () => Promise<void>): Promise<void> {
  const set = (role: Role) =>
    execute(
      "update members set role = ? where workspace_id = ? and user_id = ?",
      role,
      caller.workspaceId,
      caller.userId,
    )
  await set(to)
  try {
    await act()
  } finally {
    await set(from)
  }
}
