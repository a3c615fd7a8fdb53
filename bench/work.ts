// The requests of the reference mix, one at a time.
import type { Call } from "./load.ts"
import type { Kind } from "./mix.ts"
import { taskText, type Viewer } from "./seed/rows.ts"
import type { Side } from "./sides.ts"

export const reads = ["task", "project-tasks", "projects"] as const
export const writes = ["create", "patch", "close"] as const
export type Read = (typeof reads)[number]
export type Write = (typeof writes)[number]

export const isRead = (kind: Kind): kind is Read => (reads as readonly Kind[]).includes(kind)

/** `limit`: another one asks for another answer, though as much is read for it. */
export function readOf(side: Side, viewer: Viewer, kind: Read, id: string, limit = 50): Call {
  const path = {
    task: `/api/v1/tasks/${id}`,
    "project-tasks": `/api/v1/projects/${id}/tasks?limit=${limit}`,
    projects: `/api/v1/projects?limit=${limit}`,
  }[kind]
  return { method: "GET", path, headers: side.headersOf(viewer), expected: 200 }
}

/** `id` is of the project that is created in, or of the task that changes. */
export function writeOf(side: Side, viewer: Viewer, kind: Write, id: string, n: number): Call {
  const headers = side.headersOf(viewer)
  if (kind === "create") {
    const body = { projectId: id, ...taskText(n) }
    return { method: "POST", path: "/api/v1/tasks", headers, body, expected: 201 }
  }
  if (kind === "patch") {
    return { method: "PATCH", path: `/api/v1/tasks/${id}`, headers, body: { title: `Renamed ${n}` }, expected: 200 }
  }
  return { method: "PUT", path: `/api/v1/tasks/${id}/closure`, headers, expected: 200 }
}

export const revalidating = (call: Call, etag: string): Call => ({
  ...call,
  headers: { ...call.headers, "if-none-match": etag },
  expected: 304,
})

export function nth<T>(items: readonly T[], n: number): T {
  const item = items[n % items.length]
  if (item === undefined) throw new RangeError("There is nothing to choose from")
  return item
}

/** What a viewer can read of a kind. */
export const idsOf = ({ projects }: Viewer, kind: Read): string[] =>
  ({
    task: projects.flatMap(({ taskIds }) => taskIds),
    "project-tasks": projects.map(({ id }) => id),
    projects: [""],
  })[kind]

// ---- the same request again and again, each time as new as it has to be ----

// Lists are few: with another limit each is asked for as if for the first time. On average it is the usual one.
const limits = {
  task: [50],
  "project-tasks": Array.from({ length: 21 }, (_, n) => 40 + n),
  projects: Array.from({ length: 150 }, (_, n) => 51 + n),
}

/** What nobody has asked before: viewer after viewer, everything that there is for each, and then by another limit. */
export function firstReads(side: Side, viewers: Viewer[], kind: Read): () => Call {
  const ids = viewers.map((viewer) => idsOf(viewer, kind))
  const perRound = ids.reduce((sum, own) => sum + own.length, 0)
  const asked = viewers.flatMap((viewer, at) => (ids[at] ?? []).map((id) => ({ viewer, id })))
  let n = -1
  return () => {
    n += 1
    const { viewer, id } = nth(asked, n)
    return readOf(side, viewer, kind, id, nth(limits[kind], Math.floor(n / perRound)))
  }
}

const watchedAtOnce = 20

/** One viewer who goes round a few things. */
export function repeatedReads(side: Side, viewer: Viewer, kind: Read): () => Call {
  const ids = idsOf(viewer, kind).slice(0, watchedAtOnce)
  let n = 0
  return () => {
    n += 1
    return readOf(side, viewer, kind, nth(ids, n))
  }
}

/** Each goes round all that there is, so that no two requests under way change the same thing, and closes it once. */
export function repeatedWrites(side: Side, viewers: Viewer[], kind: Write): () => Call {
  const idsByKind = {
    create: ({ projects }: Viewer) => projects.map(({ id }) => id),
    patch: (viewer: Viewer) => idsOf(viewer, "task"),
    close: ({ projects }: Viewer) => projects.flatMap(({ openTaskIds }) => openTaskIds),
  }
  const ids = viewers.map(idsByKind[kind])
  let n = -1
  return () => {
    n += 1
    const at = n % viewers.length
    return writeOf(side, nth(viewers, at), kind, nth(nth(ids, at), Math.floor(n / viewers.length)), n)
  }
}
