import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { decisiveIn, findProjectsOfTasks, findSight, type Sight, type SightedProject } from "../domain/sight.ts"
import { Lru } from "../lib/lru.ts"
import type { Role } from "../lib/roles.ts"

const projectsAtMost = 500

/** What somebody is about to be told, and who. */
type Question = {
  entries: readonly LogEntry[]
  userIds: readonly string[]
  /** Projects, and tasks whose projects, must be known beside those of the entries. */
  projectIds?: readonly string[]
  taskIds?: readonly string[]
}
export type FullSight = Sight & {
  /** Null: no member. */
  roles: ReadonlyMap<string, Role | null>
}

/**
 * Who sees what, remembered between events: whatever the log says has changed is forgotten and asked for again, so what
 * is remembered is never older than the entry that it is used for. That holds as long as every entry comes by here.
 */
export class Audience {
  #projects = new Lru<string, SightedProject>(projectsAtMost)
  readonly #roles = new Map<string, Role | null>()
  #turn: Promise<unknown> = Promise.resolve()

  /**
   * What is needed to tell these people of these entries. Asks the database only for what is not known; one question
   * after the other, so that an old answer never takes the place of a newer one.
   */
  sightFor(db: Db, workspaceId: string, question: Question): Promise<FullSight> {
    const turn = this.#turn.then(() => this.#find(db, workspaceId, question))
    this.#turn = turn.catch(() => null)
    return turn
  }

  async #find(
    db: Db,
    workspaceId: string,
    { entries, userIds, projectIds = [], taskIds = [] }: Question,
  ): Promise<FullSight> {
    for (const entry of entries) this.#forgetWhatChanged(entry)
    const decisive = decisiveIn(entries)
    const needed = [...new Set([...decisive.projectIds, ...projectIds])]
    const taskProjects = await findProjectsOfTasks(db, workspaceId, [...decisive.taskIds, ...taskIds])
    const wanted = [...new Set([...needed, ...taskProjects.values()])]
    const missing = wanted.filter((id) => !this.#projects.get(id))
    const unknown = userIds.filter((id) => !this.#roles.has(id))
    const found = new Map<string, SightedProject>()
    if (missing.length > 0 || unknown.length > 0) {
      const asked = await findSight(db, workspaceId, { projectIds: missing, userIds: unknown })
      for (const [id, project] of asked.projects) {
        found.set(id, project)
        this.#projects.set(id, project)
      }
      for (const id of unknown) this.#roles.set(id, asked.roles.get(id) ?? null)
    }
    const known = wanted.flatMap((id) => {
      const project = found.get(id) ?? this.#projects.get(id)
      return project ? [[id, project] as const] : []
    })
    return { projects: new Map(known), taskProjects, roles: this.#roles }
  }

  #forgetWhatChanged({ type, subjectId }: LogEntry): void {
    if (type.startsWith("project.")) this.#projects.delete(subjectId)
    if (!/^member\.(?:added|updated|removed)$/.test(type)) return
    this.#roles.delete(subjectId)
    // With a member go the names that projects had of them.
    if (type === "member.removed") this.#projects = new Lru(projectsAtMost)
  }
}
