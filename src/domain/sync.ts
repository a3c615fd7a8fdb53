import type { SyncPageView, SyncQueryInput } from "../contracts/sync.ts"
import type { TaskView } from "../contracts/tasks.ts"
import type { Ctx } from "./ctx.ts"
import { invalid, notFound } from "./errors.ts"
import { listLabels } from "./labels.ts"
import { listMembers } from "./members.ts"
import { isPermitted, permit } from "./permissions.ts"
import { listProjects } from "./project-lists.ts"
import { getProject } from "./projects.ts"
import { listTasks } from "./task-lists.ts"

// A copy of all that its reader may see. Rows may be newer than the number that the copy begins with: what the log says
// of them after it is older than they are, and their revision tells.

const kinds = ["projects", "labels", "members", "tasks"] as const
type Kind = (typeof kinds)[number]

/** Where a copy goes on: how far the log was at its beginning, which kind is next, and where in its list. */
type Place = { seq: number | null; kind: Kind; cursor?: string | undefined }

type Rows = { data: SyncPageView[Kind]; next: string | null }

/** A page of the copy, in one round trip. Throws `not_found` for a project that the actor does not see. */
export async function viewSnapshot(ctx: Ctx, { project, limit, cursor }: SyncQueryInput): Promise<SyncPageView> {
  for (const permission of ["event:read", "project:read", "label:read", "task:read"] as const) permit(ctx, permission)
  const place = cursor === undefined ? { seq: null, kind: kinds[0] } : parsePlace(cursor)
  const { kind } = place
  ctx.db.watch(ctx.workspaceId)
  const { data, next } = await rowsOf(ctx, place, { project, limit })
  const seq = place.seq ?? ctx.db.seen()?.seq ?? 0
  const after = next === null ? kindAfter(ctx, kind, project) : kind
  const empty = { projects: [], labels: [], members: [], tasks: [] }
  return { seq, ...empty, [kind]: data, next: after && formatPlace({ seq, kind: after, cursor: next ?? undefined }) }
}

/** The kinds of a copy of one project are fewer, and not everybody is told who the members are. */
function kindAfter({ actor }: Ctx, kind: Kind, project: string | undefined): Kind | null {
  const isWanted = {
    projects: true,
    labels: project === undefined,
    members: project === undefined && isPermitted(actor, "member:read"),
    tasks: true,
  }
  return kinds.slice(kinds.indexOf(kind) + 1).find((other) => isWanted[other]) ?? null
}

function rowsOf(
  ctx: Ctx,
  { kind, cursor }: Place,
  { project, limit }: Pick<SyncQueryInput, "project" | "limit">,
): Promise<Rows> {
  switch (kind) {
    case "projects":
      return project === undefined
        ? listProjects(ctx, { sort: "created", limit, cursor })
        : getProject(ctx, project).then((found) => ({ data: [found], next: null }))
    case "labels":
      return listLabels(ctx, { limit, cursor })
    case "members":
      return listMembers(ctx, { limit, cursor })
    case "tasks":
      return tasksOf(ctx, { project, limit, cursor })
  }
}

async function tasksOf(ctx: Ctx, { project, limit, cursor }: SyncQueryInput): Promise<Rows> {
  const scope = project === undefined ? {} : { project }
  const page = await listTasks(ctx, { ...scope, sort: "created", limit, cursor }, () => notFound("project"))
  return { data: page.data as TaskView[], next: page.next }
}

const formatPlace = ({ seq, kind, cursor = "" }: Place) => `${seq}.${kind}.${cursor}`

function parsePlace(text: string): Place {
  const [, seq = "", kind = "", cursor = ""] = /^(\d{1,15})\.([a-z]+)\.([\w-]*)$/.exec(text) ?? []
  const known = kinds.find((name) => name === kind)
  if (!known) throw invalid({ pointer: "?cursor", detail: "is not a cursor" })
  return { seq: Number(seq), kind: known, ...(cursor && { cursor }) }
}
