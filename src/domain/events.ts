import { and, eq, isNull, sql } from "drizzle-orm"
import { type Answer, type Change, CommitRefused, type Committed, type Refusal } from "../db/commit.ts"
import type { CommitActor } from "../db/commit-actor.ts"
import type { Statement } from "../db/sql.ts"
import { type Level, levels } from "../lib/roles.ts"
import { levelIn, namedLevel, rolesInOpenProjects } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalidApiKey, noLongerMember, notFound } from "./errors.ts"
import type { EventType } from "./event-types.ts"
import { forbidden, levelFor, type Permission, rolesThatMay } from "./permissions.ts"

export type DomainChange = Omit<Change, "type" | "previousProjectId"> & {
  type: EventType
  /** Where it was before, when it has moved. */
  previousProjectId?: string | null
}

export type Work = {
  /** What the actor must be allowed at that moment: by their role, and by their level in the projects of the changes. */
  permission: Permission
  /** What their role must include beside it. */
  also?: Permission[]
  /** Where else something is that it is about, and what that takes. */
  about?: { projectId: string; level: Level }
  /** In which other projects it takes a level. */
  beside?: { projectIds: string[]; level: Level }
  at: number
  rows: Statement[]
  changes: DomainChange[]
  /** What a repeat of this request with its Idempotency-Key will be told. */
  answer: { kind: Answer; body?: Record<string, unknown> }
  /** For what is done to a workspace that has been deleted. */
  isDespiteDeletion?: boolean
  /** For an actor whose membership begins with it. */
  isJoining?: boolean
}

/**
 * Commits a verb's rows with their events and the receipt. Throws `forbidden` for an actor who has just been demoted,
 * ProjectHidden for one who does not see the project, `conflict` for a key that has just been used, and CommitRefused
 * for what the verb itself must explain.
 */
export async function commit(ctx: Ctx, work: Work): Promise<Committed> {
  const { permission, also = [], at, rows, changes, answer, isDespiteDeletion = false, isJoining = false } = work
  const { actor, workspaceId, source, idempotency } = ctx
  try {
    return await ctx.db.commit({
      id: ctx.newId("commit"),
      workspaceId,
      at,
      actor: {
        id: actor.userId,
        source,
        roles: rolesThatMay(permission).filter((role) => also.every((other) => rolesThatMay(other).includes(role))),
        access: accessFor(work),
        apiKeyId: actor.apiKey?.id ?? null,
        isDespiteDeletion,
        isJoining,
      },
      rows,
      changes: changes.map((change) => ({ previousProjectId: null, ...change })),
      receipt: idempotency && { ...idempotency, answer: answer.kind, body: answer.body ?? null },
    })
  } catch (error) {
    if (error instanceof CommitRefused && error.refusal.reason === "role") throw await explainRole(ctx, work, error)
    if (error instanceof CommitRefused && error.refusal.reason === "receipt") {
      throw new DomainError("conflict", "A request with this Idempotency-Key has just been answered", { cause: error })
    }
    throw error
  }
}

function projectsOf({ changes }: Pick<Work, "changes">): string[] {
  const named = changes.flatMap(({ projectId, previousProjectId }) => [projectId, previousProjectId])
  return [...new Set(named)].filter((id) => typeof id === "string")
}

/** The levels that a commit asks for, with the projects in which it does. */
function accessFor(work: Work): CommitActor["access"] {
  const { permission, about, beside } = work
  const level = levelFor(permission)
  const asked = [
    ...(level ? [{ level, projectIds: projectsOf(work) }] : []),
    ...(about ? [{ ...about, projectIds: [about.projectId] }] : []),
    ...(beside ? [beside] : []),
  ]
  return asked
    .filter(({ projectIds }) => projectIds.length > 0)
    .map(({ level: name, projectIds }) => ({ projectIds, level: levels[name], openTo: rolesInOpenProjects(name) }))
}

const subjectNames: Partial<Record<Change["subject"], string>> = { apiKey: "API key" }

/** Thrown for a change in a project that is not there, or that the actor does not see. */
export class ProjectHidden extends DomainError {
  readonly projectIds: ReadonlySet<string>

  constructor(projectIds: string[], what: Change["subject"], cause: unknown) {
    super("not_found", notFound(subjectNames[what] ?? what).message, { cause })
    this.projectIds = new Set(projectIds)
  }
}

/** What the actor lacked for the commit, as it stands now: one more round trip, only for those who are refused. */
async function explainRole(ctx: Ctx, work: Work, refused: CommitRefused): Promise<Error> {
  const { permission, also = [], at, changes } = work
  const { db, workspaceId, actor } = ctx
  const { apiKeys, members, profiles, projects } = db.tables
  const asked = accessFor(work)
  const ids = asked.flatMap(({ projectIds }) => projectIds)
  const [[member], [profile], found, [key]] = await db.read(
    db.sql
      .select({ role: members.role, removedAt: members.removedAt })
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, actor.userId))),
    db.sql.select({ deletedAt: profiles.deletedAt }).from(profiles).where(eq(profiles.workspaceId, workspaceId)),
    db.sql
      .select({
        id: projects.id,
        visibility: projects.visibility,
        named: namedLevel(ctx, sql`${projects.id}`).as("named"),
      })
      .from(projects)
      .where(and(eq(projects.workspaceId, workspaceId), db.oneOf(projects.id, ids), isNull(projects.deletedAt))),
    db.sql
      .select({ revokedAt: apiKeys.revokedAt, expiresAt: apiKeys.expiresAt })
      .from(apiKeys)
      .where(and(eq(apiKeys.workspaceId, workspaceId), eq(apiKeys.id, actor.apiKey?.id ?? ""))),
  )
  if (actor.apiKey && (!key || key.revokedAt !== null || (key.expiresAt !== null && key.expiresAt <= at))) {
    return invalidApiKey(refused)
  }
  if (!member || member.removedAt !== null) {
    return noLongerMember(refused)
  }
  if (profile && profile.deletedAt !== null) {
    return new DomainError("not_found", "This workspace has been deleted", { cause: refused })
  }
  const lacking = [permission, ...also].find((each) => !rolesThatMay(each).includes(member.role))
  if (lacking) return forbidden(lacking)
  const reached = new Map(found.map((project) => [project.id, levelIn(member.role, project)]))
  const hidden = ids.filter((id) => !reached.get(id))
  if (hidden.length > 0) return new ProjectHidden(hidden, changes[0]?.subject ?? "project", refused)
  const isShort = asked.some(({ projectIds, level }) => projectIds.some((id) => (reached.get(id) ?? 0) < level))
  if (isShort) return forbidden(permission)
  // By now they may: whoever tries again will.
  return new CommitRefused({ reason: "row" }, refused)
}

/** Nothing changed; but a request with a key is remembered all the same. */
export async function commitNothing(ctx: Ctx, permission: Permission, answer: Work["answer"]): Promise<void> {
  if (ctx.idempotency) await commit(ctx, { permission, at: ctx.now(), rows: [], changes: [], answer })
}

const races = 3

/**
 * Loads, decides and commits in `attempt`; again when another writer came in between. Loading then tells what they
 * left: a caller who insisted on a revision learns that it is stale, everybody else's change is applied to it.
 */
export async function untilUncontested<T>(attempt: () => Promise<T>): Promise<T> {
  for (let race = 1; ; race += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!wasOutrun(error)) throw error
      if (race === races)
        throw new DomainError("conflict", "Others are changing this at the same time", { cause: error })
    }
  }
}

/** Tells a commit that met rows of the same moment as outrun, for `untilUncontested` to look at them. */
export async function asRace<T>(
  committing: Promise<T>,
  reasons: readonly Refusal["reason"][] = ["unique"],
): Promise<T> {
  try {
    return await committing
  } catch (error) {
    const isRace = error instanceof CommitRefused && reasons.includes(error.refusal.reason)
    throw isRace ? new CommitRefused({ reason: "row" }, error) : error
  }
}

const wasOutrun = (error: unknown) =>
  error instanceof CommitRefused && (error.refusal.reason === "row" || error.refusal.reason === "revision")

type View = Record<string, unknown>

// `revision` and the time stand on the event itself.
const untold = new Set(["revision", "updatedAt"])

/** The fields in which two views of a row differ. */
export function difference(before: View, after: View): { before: View; after: View } {
  const changed = Object.keys(after).filter(
    (name) => !untold.has(name) && JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  )
  const pick = (view: View) => Object.fromEntries(changed.map((name) => [name, view[name]]))
  return { before: pick(before), after: pick(after) }
}
