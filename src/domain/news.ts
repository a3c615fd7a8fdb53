import { and, eq, isNull } from "drizzle-orm"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { type Concern, concernOf, kindFor } from "./concerns.ts"
import { mailTime } from "./mail-time.ts"
import type { News } from "./notifications.ts"
import { type Settings, settingsIn } from "./settings.ts"
import { findSight, seesProject } from "./sight.ts"

// To whom entries of the log are news, by what people see and have chosen to be told.

/** What is known of the things and people that entries concern. */
type Facts = {
  tasks: Map<string, { id: string; key: string; title: string; projectId: string }>
  /** Of comments whose entry does not say so, the task. */
  taskOfComment: Map<string, string>
  doers: Map<string, ReadonlySet<string>>
  projectFollowers: Map<string, ReadonlySet<string>>
}

async function findFacts(
  { read, sql: q, tables, oneOf }: Db,
  workspaceId: string,
  concerns: Concern[],
): Promise<Facts> {
  const { comments, projectFollowers, taskAssignees, taskFollowers, tasks } = tables
  const commentIds = concerns.filter(({ taskId }) => taskId === "").map(({ entry }) => entry.subjectId)
  const [ofComments] =
    commentIds.length > 0
      ? await read(
          q
            .select({ id: comments.id, taskId: comments.taskId })
            .from(comments)
            .where(and(eq(comments.workspaceId, workspaceId), oneOf(comments.id, commentIds))),
        )
      : [[]]
  const taskOfComment = new Map(ofComments.map(({ id, taskId }) => [id, taskId]))
  const taskIds = [...new Set(concerns.map((concern) => taskIdOf(concern, taskOfComment)))]
  const projectIds = [...new Set(concerns.flatMap(({ entry }) => entry.projectId ?? []))]
  const [found, assignees, followers, ofProjects] = await read(
    q
      .select({ id: tasks.id, key: tasks.key, title: tasks.title, projectId: tasks.projectId })
      .from(tasks)
      .where(and(eq(tasks.workspaceId, workspaceId), oneOf(tasks.id, taskIds), isNull(tasks.deletedAt))),
    q
      .select({ taskId: taskAssignees.taskId, userId: taskAssignees.userId })
      .from(taskAssignees)
      .where(and(eq(taskAssignees.workspaceId, workspaceId), oneOf(taskAssignees.taskId, taskIds))),
    q
      .select({ taskId: taskFollowers.taskId, userId: taskFollowers.userId })
      .from(taskFollowers)
      .where(and(eq(taskFollowers.workspaceId, workspaceId), oneOf(taskFollowers.taskId, taskIds))),
    q
      .select({ projectId: projectFollowers.projectId, userId: projectFollowers.userId })
      .from(projectFollowers)
      .where(and(eq(projectFollowers.workspaceId, workspaceId), oneOf(projectFollowers.projectId, projectIds))),
  )
  const users = (rows: { userId: string }[]) => new Set(rows.map(({ userId }) => userId))
  const byTask = Map.groupBy([...assignees, ...followers], ({ taskId }) => taskId)
  const byProject = Map.groupBy(ofProjects, ({ projectId }) => projectId)
  return {
    tasks: new Map(found.map((task) => [task.id, task])),
    taskOfComment,
    doers: new Map([...byTask].map(([id, rows]) => [id, users(rows)])),
    projectFollowers: new Map([...byProject].map(([id, rows]) => [id, users(rows)])),
  }
}

const taskIdOf = ({ taskId, entry }: Concern, taskOfComment: ReadonlyMap<string, string>): string =>
  taskId || (taskOfComment.get(entry.subjectId) ?? "")

/** What entries are news of, which is put into words for one person at a time: all of it could be too much to hold. */
export type Tidings = {
  /** Whom it concerns. Whether they are told depends on what they see and have chosen. */
  userIds: string[]
  /** Looks these people up; then tells of each what is news to them. */
  lookUp(userIds: readonly string[]): Promise<(userId: string) => News[]>
}

const nothing: Tidings = { userIds: [], lookUp: async () => () => [] }

/** What entries are news to whom: two trips at most, and two more for people; none when they concern nobody. */
export async function newsIn(db: Db, workspaceId: string, entries: readonly LogEntry[]): Promise<Tidings> {
  const concerns = entries.flatMap((entry) => concernOf(entry) ?? [])
  if (concerns.length === 0) return nothing
  const facts = await findFacts(db, workspaceId, concerns)
  const matters = concerns.flatMap((concern): Matter[] => {
    const task = facts.tasks.get(taskIdOf(concern, facts.taskOfComment))
    if (!task) return []
    return [
      {
        concern,
        task,
        followers: facts.doers.get(task.id) ?? none,
        projectFollowers: facts.projectFollowers.get(task.projectId) ?? none,
      },
    ]
  })
  const userIds = [...new Set(concernedBy(matters))]
  if (userIds.length === 0) return nothing
  return {
    userIds,
    async lookUp(some) {
      const people = await findPeople(db, workspaceId, some, matters)
      return (userId) => matters.flatMap((matter) => newsFor(userId, workspaceId, matter, people) ?? [])
    },
  }
}

const none: ReadonlySet<string> = new Set()

/** An entry that concerns somebody, and who follows what it is about. */
type Matter = {
  concern: Concern
  task: Facts["tasks"] extends Map<string, infer Task> ? Task : never
  followers: ReadonlySet<string>
  projectFollowers: ReadonlySet<string>
}

/** Whom entries concern, some of them many times. */
function* concernedBy(matters: readonly Matter[]): Generator<string> {
  for (const { concern, followers, projectFollowers } of matters) {
    const { entry, named, toFollowers, toProjectFollowers } = concern
    const others = (userId: string) => userId !== entry.actorId
    yield* named.flatMap(({ userIds }) => userIds).filter(others)
    if (toFollowers) yield* [...followers].filter(others)
    if (toProjectFollowers) yield* [...projectFollowers].filter(others)
  }
}

function newsFor(
  userId: string,
  workspaceId: string,
  { concern, task, followers, projectFollowers }: Matter,
  people: ReadonlyMap<string, Person>,
): News | null {
  const person = people.get(userId)
  const kind = kindFor(userId, concern, { task: followers.has(userId), project: projectFollowers.has(userId) })
  if (!(kind && person?.sees(task.projectId))) return null
  if (person.muted.has(task.id) || person.muted.has(task.projectId)) return null
  const { entry, text } = concern
  const { inbox, email } = person.settings.notifications[kind]
  const mailAt = email && person.isVerified ? mailTime(person.settings.mail, person.timeZone, entry.at) : null
  if (!inbox && mailAt === null) return null
  const { id: taskId, key: taskKey, title, projectId } = task
  const { seq, at, actorId } = entry
  const who = { actorId, actorName: people.get(actorId)?.name ?? null }
  return { workspaceId, kind, seq, projectId, taskId, taskKey, title, text, at, ...who, inbox, mailAt }
}

type Person = {
  name: string
  settings: Settings
  timeZone: string
  isVerified: boolean
  muted: ReadonlySet<string>
  sees: (projectId: string) => boolean
}

/** What decides whether somebody is told, of the tenant and of the directory. */
async function findPeople(
  db: Db,
  workspaceId: string,
  asked: readonly string[],
  matters: readonly Matter[],
): Promise<Map<string, Person>> {
  const { read, sql: q, tables, oneOf } = db
  const { members, mutes, users } = tables
  const userIds = [...new Set([...asked, ...matters.map(({ concern }) => concern.entry.actorId)])]
  const projectIds = [...new Set(matters.map(({ task }) => task.projectId))]
  const subjectIds = [...new Set(matters.flatMap(({ task }) => [task.id, task.projectId]))]
  const [sight, [silenced, accounts, names]] = await Promise.all([
    findSight(db, workspaceId, { projectIds, userIds }),
    read(
      q
        .select({ userId: mutes.userId, subjectId: mutes.subjectId })
        .from(mutes)
        .where(
          and(eq(mutes.workspaceId, workspaceId), oneOf(mutes.userId, userIds), oneOf(mutes.subjectId, subjectIds)),
        ),
      q
        .select({ id: users.id, settings: users.settings, timeZone: users.timeZone, verifiedAt: users.emailVerifiedAt })
        .from(users)
        .where(oneOf(users.id, userIds)),
      q
        .select({ id: members.userId, name: members.name })
        .from(members)
        .where(and(eq(members.workspaceId, workspaceId), oneOf(members.userId, userIds))),
    ),
  ])
  const muted = Map.groupBy(silenced, ({ userId }) => userId)
  const nameOf = new Map(names.map(({ id, name }) => [id, name]))
  return new Map(
    accounts.map(({ id, settings, timeZone, verifiedAt }): [string, Person] => {
      const role = sight.roles.get(id)
      return [
        id,
        {
          name: nameOf.get(id) ?? "",
          settings: settingsIn(workspaceId, settings),
          timeZone,
          isVerified: verifiedAt !== null,
          muted: new Set((muted.get(id) ?? []).map(({ subjectId }) => subjectId)),
          sees: (projectId) => role !== undefined && seesProject({ userId: id, role }, sight.projects.get(projectId)),
        },
      ]
    }),
  )
}
