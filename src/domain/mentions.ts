import { type SQL, sql } from "drizzle-orm"
import type { MentionableQueryInput, PersonView } from "../contracts/comments.ts"
import { memberSees } from "./assignees.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import type { Mention } from "./markdown.ts"
import { permit } from "./permissions.ts"
import { isHere, mustNameTask } from "./task-lookup.ts"

// Whom a text names. By id, or by a name that one member alone has of those who see the task: names have no index of
// their own, so they are looked for among 1,000 members; in a larger workspace it takes the id, which completion puts in.

const scannedMembers = 1_000
const mentionsPerText = 50

/** Names as they are compared: in small letters, without accents. */
const fold = (name: string): string => name.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase().trim()

/** What a person can be called by: the whole name, the name without spaces, the first name. */
function callsOf(name: string): Set<string> {
  const words = fold(name).split(/\s+/)
  return new Set([words.join(" "), words.join(""), words[0] ?? ""])
}

/** The mentions in a text, each person or name once, 50 at most. */
export async function mentionsIn(body: string): Promise<Mention[]> {
  if (!body.includes("@")) return []
  const { findMentions } = await import("./markdown.ts")
  const distinct = new Map(findMentions(body).map((mention) => [mention.userId ?? fold(mention.name), mention]))
  return Array.from(distinct, ([, mention]) => mention).slice(0, mentionsPerText)
}

/** The members who see a project: of the given ones, or of the first 1,000 in the workspace. */
function membersWhoSee(ctx: Ctx, projectId: SQL, userIds: string[] | null) {
  const { db, workspaceId } = ctx
  const { members, projects } = db.tables
  // The index of roles holds nobody who has left.
  const which = userIds
    ? sql`and ${db.oneOf(sql`a.user_id`, userIds)}`
    : sql`order by a.role, a.user_id limit ${scannedMembers}`
  const some = sql`(select a.user_id, a.name, a.role from ${members} a where a.workspace_id = ${workspaceId} and a.removed_at is null ${which}) m`
  return db.sql
    .select({ id: sql<string>`m.user_id`.as("id"), name: sql<string>`m.name`.as("name") })
    .from(sql`${projects} p ${db.joinInOrder} ${some} on p.workspace_id = ${workspaceId} and p.id = ${projectId}`)
    .where(memberSees(ctx))
}

/** What to read so that `mentionedIn` can decide; nothing for a text without mentions. */
export function candidatesFor(ctx: Ctx, projectId: SQL, mentions: Mention[]) {
  const ids = mentions.flatMap(({ userId }) => userId ?? [])
  const hasNames = mentions.some(({ userId }) => userId === null)
  return [
    ...(ids.length > 0 ? [membersWhoSee(ctx, projectId, ids)] : []),
    ...(hasNames ? [membersWhoSee(ctx, projectId, null)] : []),
  ]
}

/** What a comment keeps of its mentions. */
export type Mentioned = {
  /** Each of the people once. */
  mentionIds: string[]
  /** Who is meant by a name, as names are compared. */
  mentionCalls: Record<string, string>
}

/** Whom the mentions name. */
export function mentionedIn(mentions: Mention[], candidates: PersonView[]): Mentioned {
  const resolve = resolverOf(candidates)
  const found = mentions.map((mention) => ({ ...mention, id: resolve(mention) })).filter(({ id }) => id !== null)
  const named = found.filter(({ userId }) => userId === null)
  return {
    mentionIds: [...new Set(found.map(({ id }) => id))] as string[],
    mentionCalls: Object.fromEntries(named.map(({ name, id }) => [called(name), id])) as Record<string, string>,
  }
}

const called = (name: string): string => fold(name).replaceAll(/\s+/g, " ")

/** Finds again whom a comment mentions, by what was kept of it and how its people are called today. */
export function mentionedBefore({ mentionCalls }: Pick<Mentioned, "mentionCalls">, people: PersonView[]) {
  const byId = new Map(people.map((person) => [person.id, person]))
  const calls = new Map(Object.entries(mentionCalls))
  return ({ userId, name }: Mention): PersonView | null => byId.get(userId ?? calls.get(called(name)) ?? "") ?? null
}

/** Finds people by id, or by a name that only one of them has. */
function resolverOf(people: PersonView[]): (mention: Mention) => string | null {
  const idsByCall = new Map<string, Set<string>>()
  for (const { id, name } of people) {
    for (const call of callsOf(name)) idsByCall.set(call, (idsByCall.get(call) ?? new Set()).add(id))
  }
  const ids = new Set(people.map(({ id }) => id))
  return ({ userId, name }) => {
    if (userId !== null) return ids.has(userId) ? userId : null
    const [only, another] = idsByCall.get(called(name)) ?? []
    return another === undefined ? (only ?? null) : null
  }
}

/** Members who see the task, with a word in their name that begins like this; among the first 1,000 of the workspace. */
export async function listMentionable(
  ctx: Ctx,
  idOrKey: string,
  { q, limit }: MentionableQueryInput,
): Promise<{ data: PersonView[] }> {
  permit(ctx, "task:read")
  mustNameTask(idOrKey)
  const { db } = ctx
  const { tasks } = db.tables
  const [[task], people] = await db.read(
    db.sql.select({ id: tasks.id }).from(tasks).where(isHere(ctx, idOrKey)),
    membersWhoSee(ctx, projectOfTask(ctx, idOrKey), null),
  )
  if (!task) throw notFound("task")
  const start = fold(q)
  const isMeant = ({ name }: PersonView) => ` ${fold(name)}`.includes(` ${start}`)
  return { data: people.filter(isMeant).sort(byName).slice(0, limit) }
}

const byName = (a: PersonView, b: PersonView) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1)

/** The project that a task is in, for a statement; null when the actor does not see the task. */
export function projectOfTask(ctx: Ctx, idOrKey: string): SQL {
  const { tasks } = ctx.db.tables
  return sql`(select ${tasks.projectId} from ${tasks} where ${isHere(ctx, idOrKey)})`
}
