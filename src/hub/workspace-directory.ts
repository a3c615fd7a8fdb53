import type { Landed } from "../db/db.ts"
import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import { type Admission, admissionHeader } from "./realtime.ts"
import type { HubStatus, Poke, WorkspaceHub } from "./workspace-hub.ts"

/** Who reads the logs of workspaces. */
export type WorkspaceHubs = {
  /** Tells the hubs what was committed. What gets lost here is found by their alarms, and by the sweep. */
  tell(landed: readonly Landed[]): Promise<void>
  /** Tells a hub that something is owed at a time, in epoch milliseconds. What gets lost here is found by its alarm. */
  owe(workspaceId: string, at: number): Promise<void>
  /** The answer to a request for a socket: 101 with it, or the hub's 409, 429 or 503. */
  open(admission: Admission): Promise<Response>
  /** Lets a workspace's hub look for what it has missed. */
  catchUp(workspaceId: string): Promise<void>
  /** Lets a workspace's hub try again what its readers have given up. */
  retryParked(workspaceId: string): Promise<void>
  /** Takes away everything that a workspace's hub has stored. */
  forget(workspaceId: string): Promise<void>
  status(workspaceId: string): Promise<HubStatus>
}

/** Larger news are told by their number alone: the hub reads them itself. */
const largestNews = 256 * 1024
const deadline = 20 * second

export function workspaceDirectory(hubs: DurableObjectNamespace<WorkspaceHub>): WorkspaceHubs {
  return {
    async tell(landed) {
      const pokes = [...Map.groupBy(landed, ({ workspaceId }) => workspaceId).values()].map(pokeOf)
      await Promise.all(pokes.map((poke) => within(deadline, hubs.getByName(poke.workspaceId).poke(poke))))
    },
    owe: (workspaceId, at) => within(deadline, hubs.getByName(workspaceId).owe(at)),
    open(admission) {
      const headers = { upgrade: "websocket", [admissionHeader]: JSON.stringify(admission) }
      return within(deadline, hubs.getByName(admission.workspaceId).fetch("https://hub/", { headers }))
    },
    catchUp: (workspaceId) => within(deadline, hubs.getByName(workspaceId).catchUp(workspaceId)),
    retryParked: (workspaceId) => within(deadline, hubs.getByName(workspaceId).retryParked(workspaceId)),
    forget: (workspaceId) => within(deadline, hubs.getByName(workspaceId).forget()),
    status: (workspaceId) => within(deadline, hubs.getByName(workspaceId).status()),
  }
}

/** What one request has committed to one workspace, in order. */
function pokeOf(landed: Landed[]): Poke {
  const { workspaceId = "", seq = 0 } = landed.at(-1) ?? {}
  const isKnown = landed.every(({ entries }) => entries !== null)
  const entries = landed.flatMap((each) => each.entries ?? [])
  const isSmall = isKnown && JSON.stringify(entries).length <= largestNews
  return { workspaceId, seq, entries: isSmall ? entries : null }
}
