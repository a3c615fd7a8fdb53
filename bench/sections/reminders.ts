import { setTimeout as sleep } from "node:timers/promises"
import type { Bench } from "../bench.ts"
import { clients, quantile, send } from "../load.ts"
import { type Report, type Row, told } from "../report.ts"
import { membersOf, type Plan, type Viewer } from "../seed/rows.ts"
import { newD1, ours, type ServedSide } from "../sides.ts"
import { nth } from "../work.ts"

const plan: Plan = { workspaces: 1, members: 100, projects: 1, tasksPerProject: 100, labels: 1, subtasks: 0 }
const perMember = 5
/** From the last request to the first reminder: time for the reader to hand all of them to the hubs. */
const aheadMs = 8_000
const windowMs = 5_000
const overdueMs = 60_000

const method = `One Worker on D1; ${plan.members} people set ${perMember} reminders each through the API, of tasks that differ. Lateness is from the time that was
asked for to the time at which the notification stands in the inbox, both as the API tells them: it takes in the object's alarm, one look
into the database and the entry. Once they are spread evenly over ${windowMs / 1_000} seconds, once all are for the same millisecond; ${aheadMs / 1_000} seconds ahead of both.
That what was set is there is checked: none may be missing, early or told twice.`

export async function reminders(bench: Bench): Promise<Report> {
  const members = membersOf(plan, 0)
  const { state } = await newD1(bench, plan)
  const side = await ours(bench, { state, viewers: members })
  const spread = await lateness(bench, side, members, (n, count) => Math.floor((n / count) * windowMs))
  const atOnce = await lateness(bench, side, members, () => 0)
  return {
    method,
    rows: [...rowsOf("spread over 5 seconds", spread), ...rowsOf("for the same millisecond", atOnce)],
    data: { spread, atOnce },
  }
}

const rowsOf = (how: string, late: number[]): Row[] => [
  told(`${late.length} reminders ${how}: lateness, p50`, `${quantile(late, 0.5).toFixed(0)} ms`),
  told(`${late.length} reminders ${how}: lateness, p99`, `${quantile(late, 0.99).toFixed(0)} ms`),
  told(`${late.length} reminders ${how}: lateness, the worst`, `${Math.max(...late).toFixed(0)} ms`),
]

type Set = { member: Viewer; taskId: string; at: number }

/** Sets reminders, waits for them, and gives how many milliseconds late each was. */
async function lateness(
  bench: Bench,
  side: ServedSide,
  members: Viewer[],
  offset: (n: number, count: number) => number,
): Promise<number[]> {
  const [{ projects }] = members as [Viewer]
  const openTaskIds = projects[0]?.openTaskIds ?? []
  const count = members.length * perMember
  // Setting takes a while; what is measured begins after it.
  const start = Date.now() + count * 20 + aheadMs
  const wanted = Array.from({ length: count }, (_, n): Set => {
    const member = nth(members, n)
    return { member, taskId: nth(openTaskIds, Math.floor(n / members.length)), at: start + offset(n, count) }
  })
  const waiting = [...wanted]
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await set(side, next)
    }),
  )
  const left = start - Date.now()
  bench.tell(`${count} reminders are set, ${(left / 1_000).toFixed(1)} s ahead`)
  if (left < aheadMs / 2) throw new Error("Setting them took too long for what is to be measured")
  const since = wanted.map(({ at }) => at)
  const [first, last] = [Math.min(...since), Math.max(...since)]
  for (const end = last + overdueMs; ; await sleep(500)) {
    if (Date.now() < last) continue
    const late = (await Promise.all(members.map((member) => latenessOf(side, member, first, last)))).flat()
    if (late.length > count) throw new Error(`${late.length} notifications came of ${count} reminders`)
    if (late.length === count) return checked(late)
    if (Date.now() > end) throw new Error(`Of ${count} reminders only ${late.length} came`)
  }
}

function set(side: ServedSide, { member, taskId, at }: Set) {
  const path = `/api/v1/tasks/${taskId}/reminders`
  const body = { at: new Date(at).toISOString() }
  return send(side.url, { method: "POST", path, headers: side.headersOf(member), body, expected: 201 })
}

/** How late somebody was told of each time between the two. */
async function latenessOf(side: ServedSide, member: Viewer, first: number, last: number): Promise<number[]> {
  const headers = side.headersOf(member)
  const answer = await send(side.url, { method: "GET", path: "/api/v1/notifications", headers, expected: 200 })
  const { data } = JSON.parse(answer.body) as { data: { kind: string; seq: number; at: string }[] }
  return data
    .filter(({ kind, seq }) => kind === "due" && seq >= first && seq <= last)
    .map(({ seq, at }) => Date.parse(at) - seq)
}

function checked(late: number[]): number[] {
  if (late.some((ms) => ms < 0)) throw new Error(`A reminder came ${-Math.min(...late)} ms early`)
  return late
}
