import { and, eq, gt, sql } from "drizzle-orm"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"

// The log as those read it who see all of it: what follows a write, and not somebody.

/** The entries after a number, oldest first, and where the log ends. */
export async function readLog(
  db: Db,
  workspaceId: string,
  { after, limit }: { after: number; limit: number },
): Promise<LogEntry[]> {
  const { events } = db.tables
  const [rows] = await db.read(
    db.sql
      .select({
        seq: events.seq,
        type: events.type,
        subjectId: events.subjectId,
        subjectKey: events.subjectKey,
        actorRole: events.actorRole,
        revision: events.revision,
        actorId: events.actorId,
        source: events.source,
        projectId: events.projectId,
        previousProjectId: events.previousProjectId,
        data: events.data,
        at: events.at,
      })
      .from(events)
      .where(and(eq(events.workspaceId, workspaceId), gt(events.seq, after)))
      .orderBy(events.seq)
      .limit(limit),
  )
  return rows
}

/** Where a workspace's log ends, and how far everybody has read it. */
export async function readHead(db: Db, workspaceId: string): Promise<{ seq: number; pumpedSeq: number }> {
  const { heads } = db.tables
  const [[head]] = await db.read(
    db.sql.select({ seq: heads.seq, pumpedSeq: heads.pumpedSeq }).from(heads).where(eq(heads.workspaceId, workspaceId)),
  )
  return head ?? { seq: 0, pumpedSeq: 0 }
}

/** Remembers how far everybody has read; never that it was less. */
export async function markPumped(db: Db, workspaceId: string, seq: number): Promise<void> {
  const { heads } = db.tables
  await db.write(
    db.sql
      .update(heads)
      .set({ pumpedSeq: seq })
      .where(and(eq(heads.workspaceId, workspaceId), sql`${heads.pumpedSeq} < ${seq}`)),
  )
}
