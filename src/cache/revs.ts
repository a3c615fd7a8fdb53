import { second } from "../lib/time.ts"
import { type Known, keptLife, type Mark, type Rev, writing } from "./rev.ts"
import { inTime, parsed, type Store } from "./store.ts"

/** Who looks at what: what one session or key of a user has seen in a workspace, all of them have. */
export type Viewer = { workspaceId: string; userId: string }

/** The entries of `rev.ts` in what a colo shares. Never in an isolate: others write them too. */
export type Revs = {
  look(viewer: Viewer): Promise<Known>
  /**
   * Resolves once whoever looks will find it, or nothing at all. `later` gets the cleaning up after a cache that took
   * so long that nobody can tell when it has written what.
   */
  mark(viewer: Viewer, mark: Mark, later: (work: () => Promise<unknown>) => void): Promise<void>
  renew(viewer: Viewer, rev: Rev): Promise<void>
  /** Forgets what is known, so that the next read asks the primary. */
  forget(viewer: Viewer): Promise<void>
}

export function revsIn(colo: Store): Revs {
  const keyOf = (kind: "mark" | "rev", { workspaceId, userId }: Viewer) => `${kind} ${workspaceId} ${userId}`
  const find = async <Entry>(kind: "mark" | "rev", viewer: Viewer) => parsed<Entry>(await colo.get(keyOf(kind, viewer)))
  const keep = (kind: "mark" | "rev", viewer: Viewer, entry: Mark | Rev) =>
    colo.put(keyOf(kind, viewer), JSON.stringify(entry), keptLife)
  // Without its mark a rev is worth nothing; if one cannot be forgotten, perhaps the other can.
  const forget = async (viewer: Viewer) => {
    await inTime(Promise.all([colo.forget(keyOf("mark", viewer)), colo.forget(keyOf("rev", viewer))]), [false, false])
  }
  return {
    async look(viewer) {
      const both = Promise.all([find<Mark>("mark", viewer), find<Rev>("rev", viewer)])
      const [mark, rev] = await inTime<[Mark | null, Rev | null]>(both, [null, null])
      return { mark, rev }
    },
    async mark(viewer, mark, later) {
      const kept = keep("mark", viewer, mark)
      if (await inTime(kept, false, writing)) return
      await forget(viewer)
      later(async () => {
        await inTime(kept, false, second)
        await forget(viewer)
      })
    },
    async renew(viewer, rev) {
      await inTime(keep("rev", viewer, rev), false)
    },
    forget,
  }
}
