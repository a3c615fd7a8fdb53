import { and, eq, gte, lt, lte, type SQL, sql } from "drizzle-orm"
import { day } from "../lib/time.ts"
import { type CommitActor, expectActor } from "./commit-actor.ts"
import { type Dialect, perDialect } from "./dialect.ts"
import { classify } from "./errors.ts"
import { insertRows } from "./rows.ts"
import type { Run, Statement } from "./sql.ts"
import type { EventData } from "./sqlite.ts"
import type { Row } from "./tables.ts"

export const receiptLife = 7 * day

/** What has events of its own. */
export type Subject =
  | "apiKey"
  | "comment"
  | "invitation"
  | "label"
  | "member"
  | "project"
  | "task"
  | "webhook"
  | "workspace"

/** One change of one row, as the log will tell it. */
export type Change = {
  type: string
  subject: Subject
  subjectId: string
  /** The revision that the row has once it is written. */
  revision: number
  projectId: string | null
  previousProjectId: string | null
  data: EventData
}

/** A change of a workspace: the rows, their events and the receipt, which stand or fall together. */
export type Commit = {
  /** Made before the first attempt. Finding it in the database means that the commit landed. */
  id: string
  workspaceId: string
  at: number
  actor: CommitActor
  /** Writes the rows. A statement that hits nothing is found out by its event. */
  rows: Statement[]
  changes: Change[]
  receipt: Receipt | null
}

/** `secret`: the answer cannot be given again, so the receipt keeps only the id of what was made. */
export type Answer = Row<"receipts">["answer"]
export type Receipt = { key: string; fingerprint: string; answer: Answer; body: Record<string, unknown> | null }

/** Where in the log the changes stand, and the human key of each subject, in the order of `changes`. */
export type Committed = {
  seq: number
  subjects: { id: string; key: string | null; seq: number }[]
  /** The entries as the log has them; null when they would have to be read. */
  entries: LogEntry[] | null
}

/** An entry of a workspace's log. */
export type LogEntry = Omit<Row<"events">, "workspaceId" | "commitId">

export type Refusal =
  /** A row was not written as planned: gone, out of reach, or at another revision. */
  | { reason: "row" }
  /** Another writer was faster. */
  | { reason: "revision" }
  /** The actor may not do this (any more). */
  | { reason: "role" }
  /** This key has been used. */
  | { reason: "receipt" }
  /** Which of several keys or columns broke is not told: the databases look at them in orders of their own. */
  | { reason: "unique" | "not_null"; table: string }
  | { reason: "foreign_key" }

export class CommitRefused extends Error {
  override name = "CommitRefused"
  readonly refusal: Refusal

  constructor(refusal: Refusal, cause: unknown) {
    super(`Commit refused: ${refusal.reason}`, { cause })
    this.refusal = refusal
  }
}

/** What a violated constraint says about the commit; null for every other error. */
export function refusalOf(error: unknown): CommitRefused | null {
  const fault = classify(error)
  if (fault.kind === "foreign_key") return new CommitRefused({ reason: "foreign_key" }, error)
  if (fault.kind !== "unique" && fault.kind !== "not_null") return null
  return new CommitRefused(guardOf(fault) ?? { reason: fault.kind, table: fault.table }, error)
}

function guardOf({ table, columns }: { table: string; columns: string[] }): Refusal | null {
  if (table === "heads" && columns.includes("seq")) return { reason: "role" }
  if (table === "events" && columns.includes("actor_role")) return { reason: "role" }
  if (table === "events" && columns.includes("subject_id")) return { reason: "revision" }
  if (table === "events" && columns.includes("revision")) return { reason: "row" }
  if (table === "receipts") return { reason: "receipt" }
  return null
}

/** Runs the commit as one transaction. Throws what the database throws. */
export async function commitOnce(db: Dialect, run: Run, commit: Commit): Promise<Committed> {
  const subjects = new Set(commit.changes.map((change) => change.subject))
  const logged = [...subjects].map((subject) => logEvents(db, commit, subject))
  const first = [advanceHead(db, commit), ...expectActor(db, commit)] as const
  const answers = await run([...first, ...commit.rows, ...logged, ...keepReceipt(db, commit)])

  const [[head]] = answers as unknown as [[{ seq: number }?]]
  const firstLogged = first.length + commit.rows.length
  const written = answers.slice(firstLogged, firstLogged + logged.length).flat() as unknown as Logged[]
  written.sort((a, b) => a.seq - b.seq)
  return {
    seq: head?.seq ?? 0,
    subjects: written,
    entries: written.map((logged, index) => entryOf(commit, logged, index)),
  }
}

/** What the database has put into an entry. */
type Logged = Committed["subjects"][number] & { actorRole: string }

function entryOf({ actor, at, changes }: Commit, { seq, key, actorRole }: Logged, index: number): LogEntry {
  const { subject: _kind, ...change } = changes[index] as Change
  return { ...change, seq, subjectKey: key, actorId: actor.id, actorRole, source: actor.source, at }
}

/** Finds what this very commit wrote on an attempt whose answer was lost. Null: it did not land. */
export async function findCommitted(db: Dialect, run: Run, commit: Commit): Promise<Committed | null> {
  const [first] = commit.changes
  if (!first) return findReceipt(db, run, commit)
  const { events } = db.tables
  const [[event]] = await run([
    db.sql
      .select({ seq: events.seq, commitId: events.commitId })
      .from(events)
      .where(
        and(
          eq(events.workspaceId, commit.workspaceId),
          eq(events.subjectId, first.subjectId),
          eq(events.revision, first.revision),
        ),
      ),
  ])
  if (event?.commitId !== commit.id) return null
  const lastSeq = event.seq + commit.changes.length - 1
  const [subjects] = await run([
    db.sql
      .select({ id: events.subjectId, key: events.subjectKey, seq: events.seq })
      .from(events)
      .where(and(eq(events.workspaceId, commit.workspaceId), gte(events.seq, event.seq), lte(events.seq, lastSeq)))
      .orderBy(events.seq),
  ])
  return { seq: lastSeq, subjects, entries: null }
}

async function findReceipt(
  db: Dialect,
  run: Run,
  { receipt, workspaceId, actor, id }: Commit,
): Promise<Committed | null> {
  if (!receipt) return null
  const { receipts } = db.tables
  const [[found]] = await run([
    db.sql
      .select({ seq: receipts.lastSeq, commitId: receipts.commitId })
      .from(receipts)
      .where(and(eq(receipts.workspaceId, workspaceId), eq(receipts.actorId, actor.id), eq(receipts.key, receipt.key))),
  ])
  return found?.commitId === id ? { seq: found.seq, subjects: [], entries: [] } : null
}

const headOf = ({ tables: { heads } }: Dialect, workspaceId: string): SQL =>
  sql`(select seq from ${heads} where ${heads.workspaceId} = ${workspaceId})`

/** Takes the next numbers of the log. First in the batch, because it also holds off other writers of the workspace. */
function advanceHead({ sql: builder, tables: { heads } }: Dialect, { workspaceId, changes }: Commit) {
  const count = changes.length
  if (count === 0) return builder.select({ seq: heads.seq }).from(heads).where(eq(heads.workspaceId, workspaceId))
  return builder
    .insert(heads)
    .values({ workspaceId, seq: count, pumpedSeq: 0 })
    .onConflictDoUpdate({ target: heads.workspaceId, set: { seq: sql`${heads.seq} + ${count}` } })
    .returning({ seq: heads.seq })
}

const subjectTables = perDialect(
  ({ tables: { apiKeys, comments, invitations, labels, members, profiles, projects, tasks, webhooks } }) =>
    ({
      apiKey: { table: apiKeys, id: apiKeys.id, key: sql`null` },
      comment: { table: comments, id: comments.id, key: sql`null` },
      invitation: { table: invitations, id: invitations.id, key: sql`null` },
      label: { table: labels, id: labels.id, key: sql`null` },
      member: { table: members, id: members.userId, key: sql`null` },
      project: { table: projects, id: projects.id, key: projects.key },
      task: { table: tasks, id: tasks.id, key: tasks.key },
      webhook: { table: webhooks, id: webhooks.id, key: sql`null` },
      workspace: { table: profiles, id: profiles.workspaceId, key: sql`null` },
    }) as const,
)

/**
 * The events of one kind of subject. The revision guards the whole commit: it is read from the row as this batch has
 * just written it, and is NOT NULL.
 */
function logEvents(db: Dialect, commit: Commit, subject: Subject) {
  const { id, workspaceId, at, actor, changes } = commit
  const { events } = db.tables
  const { table, id: subjectColumn, key } = subjectTables(db)[subject]
  const rows = changes.flatMap((change, index) =>
    change.subject === subject ? [{ ...change, workspaceId, at, commitId: id, back: changes.length - 1 - index }] : [],
  )
  const row = sql`from ${table} where ${table.workspaceId} = ${workspaceId} and ${subjectColumn} = ${db.given("subjectId")} and ${table.revision} = ${db.given("revision")}`
  return insertRows(db, events, rows, {
    fields: { back: "integer" },
    computed: {
      seq: sql`${headOf(db, workspaceId)} - ${db.given("back")}`,
      subjectKey: sql`(select ${key} ${row})`,
      revision: sql`(select ${table.revision} ${row})`,
      actorRole: actorRole(db, commit),
      actorId: sql`${actor.id}`,
      source: sql`${actor.source}`,
    },
  }).returning({ id: events.subjectId, key: events.subjectKey, seq: events.seq, actorRole: events.actorRole })
}

/** The actor's role as the commit leaves it; whoever is removed by it has the role that they had. */
function actorRole({ tables: { members } }: Dialect, { workspaceId, actor: { id, roles } }: Commit): SQL {
  if (roles === "any") return sql`'system'`
  return sql`(select m.role from ${members} m where m.workspace_id = ${workspaceId} and m.user_id = ${id})`
}

function keepReceipt(db: Dialect, { id, workspaceId, at, actor, changes, receipt }: Commit): Statement[] {
  if (!receipt) return []
  const { receipts } = db.tables
  const expired = and(
    eq(receipts.workspaceId, workspaceId),
    eq(receipts.actorId, actor.id),
    eq(receipts.key, receipt.key),
    lt(receipts.createdAt, at - receiptLife),
  )
  const row = { ...receipt, workspaceId, actorId: actor.id, commitId: id, createdAt: at }
  return [
    db.sql.delete(receipts).where(expired),
    insertRows(db, receipts, [row], {
      computed: {
        firstSeq: sql`${headOf(db, workspaceId)} - ${Math.max(changes.length - 1, 0)}`,
        lastSeq: headOf(db, workspaceId),
      },
    }),
  ]
}
