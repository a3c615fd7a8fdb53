import type { WorkspaceView } from "../contracts/auth.ts"
import { CommitRefused } from "../db/commit.ts"
import { isUnique } from "../db/db.ts"
import type { Row } from "../db/tables.ts"
import type { Role } from "../lib/roles.ts"
import type { Base, Ctx } from "./ctx.ts"
import { commit, commitNothing } from "./events.ts"
import { permitSession } from "./permissions.ts"
import { draftProject, insertProject, projectCreated } from "./projects.ts"
import { findReplay } from "./receipts.ts"
import { getUser } from "./user-rows.ts"

type Workspace = Pick<Row<"workspaces">, "id" | "name" | "inboxId">

export const workspaceView = ({ id, name, inboxId }: Workspace): WorkspaceView => ({ id, name, inboxId })

/** A `Ctx` for a user who has just proved who they are. */
export const asMember = (
  base: Base,
  { userId, workspaceId, role }: { userId: string; workspaceId: string; role: Role },
): Ctx => ({
  db: base.db,
  now: base.now,
  newId: base.newId,
  actor: { userId, role, sessionId: "", apiKey: null },
  workspaceId,
  source: "api",
  idempotency: null,
})

type Founder = { id: string; name: string }

export const draftWorkspace = (base: Base, name: string): Workspace => ({
  id: base.newId("workspace"),
  name,
  inboxId: base.newId("project"),
})

/** What the directory knows of a new workspace. */
export function enterWorkspaceInDirectory(
  { db }: Base,
  founderId: string,
  { id, name, inboxId }: Workspace,
  at: number,
) {
  const { workspaces, memberships } = db.tables
  return [
    db.sql.insert(workspaces).values({ id, name, inboxId, createdBy: founderId, createdAt: at }),
    db.sql.insert(memberships).values({ userId: founderId, workspaceId: id, createdAt: at }),
  ] as const
}

/**
 * Another workspace of the actor's, with an Inbox. The receipt is written first, with the ids, then the directory, then
 * the workspace: a repeat with the same key completes what was cut off, and makes no second one.
 */
export async function createWorkspace(ctx: Ctx, name: string): Promise<WorkspaceView> {
  permitSession(ctx.actor)
  const { db, actor, idempotency } = ctx
  const user = await getUser(ctx)
  const known = idempotency && (await findReplay(ctx, idempotency))
  const workspace = (known?.body as Workspace | undefined) ?? draftWorkspace(ctx, name)
  if (!known) await commitNothing(ctx, "profile:write", { kind: "made", body: workspaceView(workspace) })
  try {
    await db.write(...enterWorkspaceInDirectory(ctx, actor.userId, workspace, ctx.now()))
  } catch (error) {
    // Ids are made once: what stands in the way is this very workspace.
    if (!isUnique(error)) throw error
  }
  await foundWorkspace(ctx, user, workspace)
  return workspaceView(workspace)
}

/** The first commit of a workspace: its owner and their Inbox. Doing it again changes nothing. */
export async function foundWorkspace(base: Base, founder: Founder, workspace: Workspace): Promise<void> {
  const ctx = asMember(base, { userId: founder.id, workspaceId: workspace.id, role: "owner" })
  const at = ctx.now()
  const member = { workspaceId: workspace.id, userId: founder.id, role: "owner", name: founder.name } as const
  const profile = { workspaceId: workspace.id, name: workspace.name, revision: 1, createdAt: at, updatedAt: at }
  const inbox = draftProject(
    { id: workspace.inboxId, workspaceId: workspace.id, createdBy: founder.id, at },
    { name: "Inbox", description: "", visibility: "workspace", isInbox: true },
  )
  const { db } = ctx
  const { members, profiles } = db.tables
  try {
    await commit(ctx, {
      permission: "profile:write",
      at,
      rows: [
        db.sql.insert(profiles).values(profile),
        db.sql.insert(members).values({ ...member, revision: 1, createdAt: at, updatedAt: at }),
        insertProject(ctx, inbox, ["INBOX"]),
      ],
      changes: [
        {
          type: "workspace.created",
          subject: "workspace",
          subjectId: workspace.id,
          revision: 1,
          projectId: null,
          data: { before: null, after: { name: workspace.name } },
        },
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
      isJoining: true,
    })
  } catch (error) {
    const isFounded = error instanceof CommitRefused && error.refusal.reason === "unique"
    if (!isFounded) throw error
  }
}
