import type { MePatchInput, MeView } from "../contracts/me.ts"
import { CommitRefused } from "../db/commit.ts"
import { avatarUrl } from "../lib/avatar.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid } from "./errors.ts"
import { commitNothing, difference, untilUncontested } from "./events.ts"
import { renameMember, selectMyself } from "./member-rows.ts"
import { permit, permitSession } from "./permissions.ts"
import { getProjectRow } from "./projects.ts"
import { findReplay } from "./receipts.ts"
import { type Expected, expectRevision } from "./revisions.ts"
import { changeSettings, settingsIn } from "./settings.ts"
import { getUser, saveUser, type User, userView } from "./user-rows.ts"

/** What a user can change, with what their settings mean in the active workspace. */
const fieldsOf = (ctx: Ctx, user: User) => ({ ...userView(user), ...settingsIn(ctx.workspaceId, user.settings) })

const meView = (ctx: Ctx, user: User): MeView => ({
  ...fieldsOf(ctx, user),
  avatarUrl: avatarUrl(user.id, user.name),
  workspace: { id: ctx.workspaceId, role: ctx.actor.role },
})

export async function getMe(ctx: Ctx): Promise<MeView> {
  return meView(ctx, await getUser(ctx))
}

type Patch = Omit<MePatchInput, "revision">

/**
 * Changes who the actor is and what they have chosen: in the directory, then in their workspace, whose lists show the
 * name. Each half is skipped when it is done already, so a request that was cut off between them is completed by its
 * repeat (or the next login).
 */
export async function updateMe(ctx: Ctx, patch: Patch, expected: Expected): Promise<MeView> {
  // A name stands in every workspace of the user, and a key belongs to one.
  permitSession(ctx.actor)
  permit(ctx, "profile:write")
  // The directory keeps no receipts, so a repeat must be known before its half would be written once more.
  if (ctx.idempotency && (await findReplay(ctx, ctx.idempotency))) {
    throw new DomainError("conflict", "A request with this Idempotency-Key has been answered")
  }
  if (patch.defaultProjectId) await expectProject(ctx, patch.defaultProjectId)
  let accepted = expected
  return untilUncontested(async () => {
    const before = await getUser(ctx)
    expectRevision(accepted, before.revision)
    const { name = before.name, timeZone = before.timeZone, ...chosen } = patch
    const settings = changeSettings(ctx.workspaceId, before.settings, chosen)
    const changed = { ...before, name, timeZone, settings, updatedAt: ctx.now(), revision: before.revision + 1 }
    const data = difference(fieldsOf(ctx, before), fieldsOf(ctx, changed))
    const after = Object.keys(data.after).length > 0 ? changed : before
    if (after !== before) await save(ctx, before, after, data)
    // Whoever outruns the other half finds this one done, not stale.
    accepted &&= [after.revision]

    const view = meView(ctx, after)
    const [[member]] = await ctx.db.read(selectMyself(ctx))
    if (member && member.name !== name) await renameMember(ctx, member, name, view)
    else await commitNothing(ctx, "profile:write", { kind: "changed", body: view })
    return view
  })
}

/** Anybody may choose a project that they see. */
async function expectProject(ctx: Ctx, projectId: string): Promise<void> {
  try {
    await getProjectRow(ctx, projectId, "project:read")
  } catch (error) {
    if (!(error instanceof DomainError && error.code === "not_found")) throw error
    throw invalid({ pointer: "/defaultProjectId", detail: "There is no such project in the active workspace" })
  }
}

/** Throws CommitRefused when another change of the user was faster. */
async function save(ctx: Ctx, before: User, after: User, data: Record<string, unknown>): Promise<void> {
  const { name, timeZone, settings, updatedAt, revision } = after
  try {
    await saveUser(ctx, before, { name, timeZone, settings, updatedAt }, { type: "user.updated", data })
  } catch (error) {
    if (!(error instanceof CommitRefused)) throw error
    // Ours, from an attempt whose answer was lost, or another writer's: what stands there tells.
    const now = await getUser(ctx)
    const isOurs = now.revision === revision && now.updatedAt === updatedAt
    const { after: others } = difference(fieldsOf(ctx, after), fieldsOf(ctx, now))
    if (!isOurs || Object.keys(others).length > 0) throw error
  }
}
