import type * as z from "zod"
import type { EventPage, EventView } from "../contracts/events.ts"
import type { LabelView } from "../contracts/labels.ts"
import type { ProjectView } from "../contracts/projects.ts"
import type { EventMessageView } from "../contracts/realtime.ts"
import type { SyncPageView } from "../contracts/sync.ts"
import type { TaskView } from "../contracts/tasks.ts"
import { type Client, EdgewiseError } from "./client.ts"
import { addRow, addRows, applyEvent, type Copy, dropProject, emptyCopy, type Missing } from "./copy.ts"
import { openRealtime, type Realtime, type State } from "./realtime.ts"

type Page = z.output<typeof EventPage>

/** Read as it is now, and not as a cache near by has it: what is asked for has just been told of. */
const now = { headers: { "cache-control": "no-cache" } }

/** Reads all that the caller sees, or one project of it. Resolves once every page is there. */
export async function readSnapshot(client: Client, project?: string): Promise<Copy> {
  const copy = emptyCopy()
  const query = new URLSearchParams(project === undefined ? {} : { project })
  for (let next: string | null = null; ; ) {
    if (next !== null) query.set("cursor", next)
    const page: SyncPageView = await client.request("GET", `/sync?${query}`, now)
    copy.seq = page.seq
    addRows(copy, page)
    if (page.next === null) return copy
    next = page.next
  }
}

/**
 * Brings a copy up to date with what has happened since, over HTTP. When it throws, the copy stands at the last entry
 * of which everything was read; calling it again goes on from there.
 */
export async function catchUp(client: Client, copy: Copy): Promise<void> {
  for (;;) {
    const page: Page = await client.request("GET", `/events?after=${copy.seq}&limit=200`, now)
    for (const event of page.data) await take(client, copy, event)
    const isEnd = page.next === copy.seq && page.data.length === 0
    copy.seq = Math.max(copy.seq, page.next)
    if (isEnd) return
  }
}

/** Applies an entry, and reads what it leaves to be read before it counts. What the copy is ahead of is passed over. */
async function take(client: Client, copy: Copy, event: EventView): Promise<void> {
  if (event.seq <= copy.seq) return
  const missing = applyEvent(copy, event)
  if (missing) await fill(client, copy, missing)
  copy.seq = Math.max(copy.seq, event.seq)
}

async function fill(client: Client, copy: Copy, missing: Missing): Promise<void> {
  switch (missing.kind) {
    case "all": {
      const { seq, ...rows } = await readSnapshot(client)
      Object.assign(copy, rows, { seq: Math.max(copy.seq, seq) })
      return
    }
    case "project": {
      const rows = await orNull(readSnapshot(client, missing.id))
      dropProject(copy, missing.id)
      if (rows) addRows(copy, pageOf(rows))
      return
    }
    case "task": {
      const task = await orNull(client.request<TaskView>("GET", `/tasks/${missing.id}`, now))
      if (task) addRow(copy.tasks, task)
      else copy.tasks.delete(missing.id)
      return
    }
    case "label": {
      const label = await orNull(client.request<LabelView>("GET", `/labels/${missing.id}`, now))
      if (label) addRow(copy.labels, label)
      else copy.labels.delete(missing.id)
      return
    }
    case "project-row": {
      const project = await orNull(client.request<ProjectView>("GET", `/projects/${missing.id}`, now))
      if (project) addRow(copy.projects, project)
      else dropProject(copy, missing.id)
    }
  }
}

const pageOf = ({ projects, labels, members, tasks }: Copy) => ({
  projects: [...projects.values()],
  labels: [...labels.values()],
  members: [...members.values()],
  tasks: [...tasks.values()],
})

/** Null for what is not there, or not for the caller, by now: what comes later in the log says why. */
async function orNull<Found>(reading: Promise<Found>): Promise<Found | null> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof EdgewiseError && error.status === 404) return null
    throw error
  }
}

/** A message of the socket as an entry of the log. */
export function eventOf({ subject, actor, ...message }: EventMessageView): EventView {
  const { seq, type, source, projectId, previousProjectId, data, resync, at } = message
  const who = { actorId: actor.id, actorRole: actor.role, source }
  const what = { subjectId: subject.id, subjectKey: subject.key, revision: subject.revision }
  return { seq, type, ...what, ...who, projectId, previousProjectId, data, ...(resync && { resync }), at }
}

type FollowOptions = Omit<Parameters<typeof openRealtime>[1], "since" | "onEvent" | "onResync"> & {
  /** Told after every change of the copy. */
  onChange?: () => void
  onState?: (state: State) => void
}

/** Keeps a copy up to date over the socket, from where it is. */
export function followCopy(client: Client, copy: Copy, { onChange, ...options }: FollowOptions = {}): Realtime {
  return openRealtime(client, {
    ...options,
    since: () => copy.seq,
    async onEvent(message) {
      await take(client, copy, eventOf(message))
      onChange?.()
    },
    async onResync({ seq }) {
      // The log was restored to an earlier moment: what the copy has may never have happened.
      if (seq < copy.seq) Object.assign(copy, await readSnapshot(client))
      else await catchUp(client, copy)
      onChange?.()
    },
  })
}
