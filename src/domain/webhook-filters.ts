import { and, eq, isNull, sql } from "drizzle-orm"
import type { NewWebhookInput, WebhookPatchInput } from "../contracts/webhooks.ts"
import { levels, type Role } from "../lib/roles.ts"
import { levelIn, namedLevel } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, type FieldError, invalid } from "./errors.ts"

/** Where deliveries may go: judges URLs, and looks up the names in them. */
export type Targets = {
  /** What is wrong with a URL; null for one that may be sent to. Throws LookupFailed when nobody could tell. */
  refusal(url: string): Promise<string | null>
}

export class LookupFailed extends Error {
  override name = "LookupFailed"
}

/** Throws `invalid_input` for what must not be sent to, and `unavailable` when that cannot be told. */
export async function expectTarget(targets: Targets, url: string): Promise<void> {
  let refusal: string | null
  try {
    refusal = await targets.refusal(url)
  } catch (error) {
    if (!(error instanceof LookupFailed)) throw error
    const detail = "The name in the URL could not be looked up for the moment"
    throw new DomainError("unavailable", detail, {
      errors: [{ pointer: "/url", detail: "could not be looked up" }],
      retryAfter: 30,
      cause: error,
    })
  }
  if (refusal !== null) throw invalid({ pointer: "/url", detail: refusal })
}

type Filters = Pick<NewWebhookInput, "projectIds" | "labelIds">

/** Brings what decides about the filters of a webhook, for `refuseFilters`. */
export function findFiltered(ctx: Ctx, { projectIds, labelIds }: Filters | WebhookPatchInput) {
  const { db, workspaceId, actor } = ctx
  const { labels, members, projects } = db.tables
  // A token lives on for minutes after its role: too long for what goes on being sent.
  const role = sql<Role | null>`(select m.role from ${members} m where m.workspace_id = ${workspaceId} and m.user_id = ${actor.userId} and m.removed_at is null)`
  return [
    db.sql
      .select({
        id: projects.id,
        visibility: projects.visibility,
        named: namedLevel(ctx, sql`${projects.id}`).as("named_level"),
        role: role.as("role"),
      })
      .from(projects)
      .where(
        and(eq(projects.workspaceId, workspaceId), db.oneOf(projects.id, projectIds ?? []), isNull(projects.deletedAt)),
      ),
    db.sql
      .select({ id: labels.id })
      .from(labels)
      .where(and(eq(labels.workspaceId, workspaceId), db.oneOf(labels.id, labelIds ?? []), isNull(labels.deletedAt))),
  ] as const
}

type Found = {
  projects: Awaited<ReturnType<typeof findFiltered>[0]>
  labels: Awaited<ReturnType<typeof findFiltered>[1]>
}

/**
 * Refuses projects that the actor does not manage at this moment, and labels that are not there. A webhook outlives
 * what its maker may do, so nobody gives one more than is theirs to give.
 */
export function refuseFilters({ projectIds, labelIds }: Filters | WebhookPatchInput, found: Found) {
  const isManaged = ({ role, ...project }: Found["projects"][number]) =>
    role !== null && levelIn(role, project) >= levels.manage
  const managed = new Set(found.projects.filter(isManaged).map(({ id }) => id))
  const known = new Set(found.labels.map(({ id }) => id))
  const errors = [
    ...missing(projectIds, managed, "/projectIds", "must be a project that you manage"),
    ...missing(labelIds, known, "/labelIds", "There is no such label"),
  ]
  if (errors.length > 0) throw invalid(...errors)
}

const missing = (
  ids: readonly string[] | null | undefined,
  known: ReadonlySet<string>,
  pointer: string,
  detail: string,
): FieldError[] =>
  (ids ?? []).flatMap((id, index) => (known.has(id) ? [] : [{ pointer: `${pointer}/${index}`, detail }]))
