import { and, eq } from "drizzle-orm"
import { CommitRefused } from "../db/commit.ts"
import type { Row } from "../db/tables.ts"
import type { Role } from "../lib/access-token.ts"
import type { Base, Ctx } from "./ctx.ts"
import { commit } from "./events.ts"
import { draftProject, insertProject, projectCreated } from "./projects.ts"

type Member = Row<"members">
type Founder = { id: string; name: string }

/** A `Ctx` for a user who has just proved who they are. */
export const asMember = (
  base: Base,
  { userId, workspaceId, role }: { userId: string; workspaceId: string; role: Role },
): Ctx => ({
  db: base.db,
  now: base.now,
  newId: base.newId,
  actor: { userId, role, sessionId: "" },
  workspaceId,
  source: "api",
  idempotency: null,
})

/** The first commit of a workspace: its owner and their Inbox. Doing it again changes nothing. */
export async function foundWorkspace(
  base: Base,
  founder: Founder,
  workspace: { id: string; inboxId: string },
): Promise<void> {
  const ctx = asMember(base, { userId: founder.id, workspaceId: workspace.id, role: "owner" })
  const at = ctx.now()
  const row = { workspaceId: workspace.id, userId: founder.id, role: "owner", name: founder.name } as const
  const inbox = draftProject(
    { id: workspace.inboxId, workspaceId: workspace.id, createdBy: founder.id, at },
    { name: "Inbox", description: "", isInbox: true },
  )
  try {
    await commit(ctx, {
      permission: "profile:write",
      at,
      rows: [
        ctx.db.sql.insert(ctx.db.tables.members).values({ ...row, revision: 1, createdAt: at, updatedAt: at }),
        insertProject(ctx, inbox, ["INBOX"]),
      ],
      changes: [
        {
          type: "member.added",
          subject: "member",
          subjectId: founder.id,
          revision: 1,
          projectId: null,
          data: { before: null, after: { name: founder.name, role: "owner" } },
        },
        projectCreated(inbox),
      ],
      answer: { kind: "empty" },
    })
  } catch (error) {
    const isFounded = error instanceof CommitRefused && error.refusal.reason === "unique"
    if (!isFounded) throw error
  }
}

/** Gives a member another name in their workspace. */
export async function renameMember(
  ctx: Ctx,
  member: Member,
  name: string,
  body?: Record<string, unknown>,
): Promise<void> {
  const at = ctx.now()
  const { members } = ctx.db.tables
  await commit(ctx, {
    permission: "profile:write",
    at,
    rows: [
      ctx.db.sql
        .update(members)
        .set({ name, updatedAt: at, revision: member.revision + 1 })
        .where(
          and(
            eq(members.workspaceId, ctx.workspaceId),
            eq(members.userId, member.userId),
            eq(members.revision, member.revision),
          ),
        ),
    ],
    changes: [
      {
        type: "member.updated",
        subject: "member",
        subjectId: member.userId,
        revision: member.revision + 1,
        projectId: null,
        data: { before: { name: member.name }, after: { name } },
      },
    ],
    answer: { kind: "changed", ...(body && { body }) },
  })
}
