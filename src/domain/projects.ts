import { and, eq, getTableColumns, isNull, sql } from "drizzle-orm"
import type { NewProjectInput, ProjectPatchInput, ProjectView } from "../contracts/projects.ts"
import { CommitRefused } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Row } from "../db/tables.ts"
import { idPattern } from "../lib/ids.ts"
import { levels } from "../lib/roles.ts"
import { rfc3339 } from "../lib/time.ts"
import { expectAccess, namedLevel, type Visibility } from "./access.ts"
import { explainTaken } from "./chosen-ids.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, notFound } from "./errors.ts"
import { commit, commitNothing, type DomainChange, difference, untilUncontested } from "./events.ts"
import { rebase, selectSince } from "./merging.ts"
import { type Permission, permit } from "./permissions.ts"
import { manageMyself, nameToProject } from "./project-members.ts"
import { type Expected, expectRevision, type Known } from "./revisions.ts"

type Project = Row<"projects">

export function projectView(project: Project): ProjectView {
  const { id, key, name, description, visibility, isInbox, revision, createdBy, createdAt, updatedAt } = project
  const times = { createdAt: rfc3339(createdAt), updatedAt: rfc3339(updatedAt) }
  return { id, key, name, description, visibility, isInbox, revision, createdBy, ...times }
}

/** A project as it is before it is written; its key is chosen in the commit, so it is not known yet. */
export function draftProject(
  { id, workspaceId, createdBy, at }: { id: string; workspaceId: string; createdBy: string; at: number },
  content: { name: string; description: string; visibility: Visibility; isInbox: boolean },
): Project {
  const counters = { taskCounter: 0, revision: 1, deletedAt: null }
  return { workspaceId, id, key: "", ...content, ...counters, createdBy, createdAt: at, updatedAt: at }
}

/** The event of a new project: everything but the key, which stands on the event itself. */
export function projectCreated(project: Project): DomainChange {
  const { key: _key, ...after } = projectView(project)
  const { id, revision } = project
  return {
    type: "project.created",
    subject: "project",
    subjectId: id,
    revision,
    projectId: id,
    data: { before: null, after },
  }
}

const suffixes = 200

/** Keys to try, best first: the initials of the name's words, or the first letters of its one word. */
export function keyCandidates(name: string, id: string): string[] {
  const words =
    name
      .normalize("NFKD")
      .replaceAll(/\p{M}/gu, "")
      .toUpperCase()
      .match(/[A-Z]+/g) ?? []
  const initials = words.map((word) => word.charAt(0)).join("")
  const letters = initials.length > 1 ? initials.slice(0, 6) : (words[0] ?? "").slice(0, 3)
  const base = letters.length > 1 ? letters : "PRJ"
  const numbered = Array.from({ length: suffixes }, (_, index) => `${base}${index + 2}`)
  // The last one cannot be taken: it ends in the id.
  return [base, ...numbered, `${base}${id.slice(-10).toUpperCase()}`]
}

/** Writes the row of a new project, with the first candidate that no project of the workspace has. */
export function insertProject({ db }: Pick<Ctx, "db">, project: Project, candidates: string[]) {
  const { projects } = db.tables
  const taken = sql`select 1 from ${projects} p where p.workspace_id = ${project.workspaceId} and p.key = c.value`
  const free = sql`(select c.value from ${db.elements(db.given("candidates"))} where not exists (${taken}) order by c.key limit 1)`
  return insertRows(db, projects, [{ ...project, candidates }], {
    fields: { candidates: "json" },
    computed: { key: free },
  })
}

export async function createProject(
  ctx: Ctx,
  { id: chosen, name, description, visibility, key }: NewProjectInput,
): Promise<ProjectView> {
  permit(ctx, "project:create")
  const at = ctx.now()
  const id = chosen ?? ctx.newId("project")
  const draft = draftProject(
    { id, workspaceId: ctx.workspaceId, createdBy: ctx.actor.userId, at },
    { name, description, visibility, isInbox: false },
  )
  try {
    const { subjects } = await commit(ctx, {
      permission: "project:create",
      at,
      rows: [
        insertProject(ctx, draft, key ? [key] : keyCandidates(name, id)),
        // Whoever creates a project manages it.
        nameToProject(ctx, { projectId: id, userId: ctx.actor.userId, level: levels.manage, createdAt: at }),
      ],
      changes: [projectCreated(draft)],
      answer: { kind: "created" },
    })
    return projectView({ ...draft, key: subjects[0]?.key ?? "" })
  } catch (error) {
    await explainTaken(ctx, "project", error, [{ id: chosen }])
    if (error instanceof CommitRefused && error.refusal.reason === "not_null") {
      const errors = [{ pointer: "/key", detail: "belongs to another project of this workspace" }]
      throw new DomainError("conflict", `The key ${key} is taken`, { errors, cause: error })
    }
    throw error
  }
}

function isHere({ db, workspaceId }: Ctx, id: string) {
  const { projects } = db.tables
  return and(eq(projects.workspaceId, workspaceId), eq(projects.id, id), isNull(projects.deletedAt))
}

/** A project that the actor sees and may use for `permission`. Throws `not_found` and `forbidden`. */
export async function getProjectRow(ctx: Ctx, id: string, permission: Permission): Promise<Project> {
  permit(ctx, permission)
  const [[row]] = await ctx.db.read(selectProject(ctx, id))
  return expectProject(ctx, row, permission)
}

/** A project and how the actor is named to it. Throws `not_found` for what cannot be one. */
export function selectProject(ctx: Ctx, id: string) {
  if (!idPattern("project").test(id)) throw notFound("project")
  const { projects } = ctx.db.tables
  const named = namedLevel(ctx, sql`${projects.id}`).as("named_level")
  return ctx.db.sql
    .select({ ...getTableColumns(projects), named })
    .from(projects)
    .where(isHere(ctx, id))
}

/** What was found, if the actor sees it and may use it for `permission`. Throws `not_found` and `forbidden`. */
export function expectProject(
  ctx: Ctx,
  row: (Project & { named: number | null }) | undefined,
  permission: Permission,
): Project {
  if (!row) throw notFound("project")
  expectAccess(ctx, permission, row, "project")
  const { named: _named, ...project } = row
  return project
}

export async function getProject(ctx: Ctx, id: string): Promise<ProjectView> {
  return projectView(await getProjectRow(ctx, id, "project:read"))
}

export async function updateProject(
  ctx: Ctx,
  id: string,
  wanted: ProjectPatchInput,
  known: Known,
): Promise<ProjectView> {
  permit(ctx, "project:manage")
  return untilUncontested(async () => {
    const [[row], ...since] = await ctx.db.read(selectProject(ctx, id), ...selectSince(ctx, id, known))
    const before = expectProject(ctx, row, "project:manage")
    expectRevision(known, before.revision)
    const patch = rebase(known, projectView(before), since.flat(), wanted)
    const at = ctx.now()
    const { name = before.name, description = before.description, visibility = before.visibility } = patch
    const after = { ...before, name, description, visibility, updatedAt: at, revision: before.revision + 1 }
    const data = difference(projectView(before), projectView(after))
    if (Object.keys(data.after).length === 0) {
      await commitNothing(ctx, "project:manage", { kind: "changed", body: projectView(before) })
      return projectView(before)
    }
    await commit(ctx, {
      permission: "project:manage",
      at,
      rows: [
        replaceProject(ctx, before, { name, description, visibility, updatedAt: at }),
        // Whoever closes it stays inside.
        ...(visibility === "private" && before.visibility !== "private" ? manageMyself(ctx, id, at) : []),
      ],
      changes: [changeOfProject(before, "project.updated", data)],
      answer: { kind: "changed", body: projectView(after) },
    })
    return projectView(after)
  })
}

/** Deletes a project and so hides its tasks: one event, whatever their number. */
export async function deleteProject(ctx: Ctx, id: string, expected: Expected): Promise<void> {
  await untilUncontested(async () => {
    const before = await getProjectRow(ctx, id, "project:manage")
    expectRevision(expected, before.revision)
    if (before.isInbox) throw new DomainError("conflict", "The Inbox cannot be deleted")
    const at = ctx.now()
    await commit(ctx, {
      permission: "project:manage",
      at,
      rows: [replaceProject(ctx, before, { deletedAt: at, updatedAt: at })],
      changes: [changeOfProject(before, "project.deleted", { before: projectView(before), after: null })],
      answer: { kind: "empty" },
    })
  })
}

export function replaceProject(ctx: Ctx, before: Project, set: Partial<Project>) {
  const { projects } = ctx.db.tables
  return ctx.db.sql
    .update(projects)
    .set({ ...set, revision: before.revision + 1 })
    .where(and(isHere(ctx, before.id), eq(projects.revision, before.revision)))
}

export const changeOfProject = (
  before: Project,
  type: DomainChange["type"],
  data: DomainChange["data"],
): DomainChange => ({
  type,
  subject: "project",
  subjectId: before.id,
  revision: before.revision + 1,
  projectId: before.id,
  data,
})
