import { setTimeout as sleep } from "node:timers/promises"
import { createClient } from "../../src/client/client.ts"
import { readSnapshot } from "../../src/client/follow.ts"
import type { Bench } from "../bench.ts"
import { prices } from "../cost/prices.ts"
import { median, quantile, send } from "../load.ts"
import { atMost, notMeasured, type Report, type Row, told } from "../report.ts"
import { membersOf, type Plan, type Viewer } from "../seed/rows.ts"
import { newD1, ours, type ServedSide } from "../sides.ts"
import { nth, writeOf } from "../work.ts"

const plan: Plan = { workspaces: 1, members: 50, projects: 5, tasksPerProject: 2_000, labels: 10, subtasks: 0 }
const socketsPerMember = 20
const pauseMs = 25

const method = `One Worker on D1, a workspace with 50 members and 10,000 tasks. Commit to socket: tasks are created one at a time, with a pause
of ${pauseMs} ms after each, and one socket listens; from sending the request to receiving the message, which takes in the whole write, and
from the answer to the message. Fan-out: the same with 1,000 sockets, 20 of each member; until the middle and the last of them have the message.
Sync: every page of GET /sync, one after the other, by the product's client. Memory: what the runtime holds more, with the simulators in it,
once 1,000 sockets stand idle.`

export async function realtime(bench: Bench): Promise<Report> {
  const members = membersOf(plan, 0)
  const [owner] = members as [Viewer]
  const { state } = await newD1(bench, plan)
  const side = await ours(bench, { state, viewers: members })

  const one = await open(side, owner)
  const alone = await timeWrites(side, owner, [one], 200)
  bench.tell(`request to socket, p50 ${median(alone.last).toFixed(1)} ms`)
  one.socket.close()

  const before = side.served.memory()
  const many: Listener[] = []
  for (const member of members) {
    many.push(...(await Promise.all(Array.from({ length: socketsPerMember }, () => open(side, member)))))
  }
  bench.tell(`${many.length} sockets are open`)
  await sleep(2_000)
  const after = side.served.memory()
  const fanned = await timeWrites(side, owner, many, 40)
  bench.tell(`to the last of ${many.length} sockets, p50 ${median(fanned.last).toFixed(1)} ms`)
  for (const { socket } of many) socket.close()

  const syncs = await timeSyncs(side, owner, bench.rounds)
  const ms = (values: number[], part = 0.5) => `${quantile(values, part).toFixed(1)} ms`
  return {
    method,
    rows: [
      atMost("realtime: request to socket, p50", 20, median(alone.last), " ms", 1),
      told("realtime: request to socket, p99", ms(alone.last, 0.99)),
      told("realtime: answer to socket, p50", ms(alone.afterAnswer)),
      told(`fan-out to ${many.length} sockets: to the middle one, p50`, ms(fanned.middle)),
      told(`fan-out to ${many.length} sockets: to the last one, p50`, ms(fanned.last)),
      told("sync of 10,000 tasks, one page after the other", `${(median(syncs) / 1_000).toFixed(2)} s`),
      memoryRow(before, after, many.length),
      ...priceRows(),
    ],
    data: { alone, fanned, syncs },
  }
}

type Listener = { socket: WebSocket; arrived: Map<number, number>; onSeq: (seq: number) => void }

/** A socket that is live, and when each number of the log came over it. */
async function open(side: ServedSide, viewer: Viewer): Promise<Listener> {
  const headers = side.headersOf(viewer)
  const answer = await send(side.url, { method: "POST", path: "/api/v1/realtime/tickets", headers, expected: 201 })
  const { ticket } = JSON.parse(answer.body) as { ticket: string }
  const socket = new WebSocket(`ws://${side.url.host}/api/v1/realtime?ticket=${ticket}`)
  const listener: Listener = { socket, arrived: new Map(), onSeq: () => undefined }
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("error", () => reject(new Error("A socket could not be opened")))
    socket.addEventListener("message", ({ data }) => {
      const { type, seq } = JSON.parse(String(data)) as { type: string; seq: number }
      if (type === "ready") return resolve()
      listener.arrived.set(seq, performance.now())
      listener.onSeq(seq)
    })
  })
  return listener
}

/** Milliseconds of each write: to its middle and last listener, and from the answer to the last one. */
async function timeWrites(side: ServedSide, owner: Viewer, listeners: Listener[], count: number) {
  const times = { middle: [] as number[], last: [] as number[], afterAnswer: [] as number[] }
  for (let n = 0; n < count; n += 1) {
    let left = listeners.length
    const arrivals: number[] = []
    const all = new Promise<void>((resolve) => {
      for (const listener of listeners) {
        listener.onSeq = () => {
          arrivals.push(performance.now())
          left -= 1
          if (left === 0) resolve()
        }
      }
    })
    const call = writeOf(side, owner, "create", nth(owner.projects, n).id, n)
    const start = performance.now()
    await send(side.url, call)
    const answered = performance.now()
    await all
    times.middle.push(median(arrivals) - start)
    times.last.push(Math.max(...arrivals) - start)
    times.afterAnswer.push(Math.max(...arrivals) - answered)
    await sleep(pauseMs)
  }
  return times
}

async function timeSyncs(side: ServedSide, owner: Viewer, rounds: number): Promise<number[]> {
  const token = side.headersOf(owner)["authorization"]?.replace("Bearer ", "") ?? ""
  const client = createClient({ url: side.url.origin, token: () => token })
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now()
    const { tasks } = await readSnapshot(client)
    times.push(performance.now() - start)
    if (tasks.size < 10_000) throw new Error(`Only ${tasks.size} tasks came`)
  }
  return times
}

function memoryRow(before: number | null, after: number | null, sockets: number): Row {
  const what = "memory per idle socket, simulators included"
  if (before === null || after === null) return notMeasured(what, "reported", "only Linux tells")
  return told(what, `${((after - before) / sockets / 1_024).toFixed(1)} KB`)
}

// ---- what it would cost ----

/** A team at work: what is assumed, and not measured. */
const team = {
  members: 1_000,
  hoursADay: 10,
  daysAMonth: 22,
  /** Of each member. */
  writesADay: 20,
  connectsADay: 6,
  /** Acknowledgements and looks at tasks. */
  messagesADay: 120,
}
const idleSeconds = 10
const gbOfAnObject = 0.128
const incomingPerRequest = 20

/** Of the sockets alone, beyond what a plan includes; the writes cost what `npm run cost` says. */
function priceRows(): Row[] {
  const { members, hoursADay, daysAMonth, writesADay, connectsADay, messagesADay } = team
  const ofMonth = (each: number) => each * members * daysAMonth
  const objectRequests = ofMonth(writesADay) + ofMonth(connectsADay) + ofMonth(messagesADay) / incomingPerRequest
  // A ticket and an upgrade.
  const workerRequests = ofMonth(connectsADay) * 2
  // Awake for ten seconds after whatever wakes it: with so much going on, all day long.
  const events = (writesADay + connectsADay + messagesADay) * members
  const awake = Math.min(hoursADay * 3_600, events * idleSeconds) * daysAMonth
  // The cursors once a second at most, and the alarm twice a minute.
  const rows = Math.min(ofMonth(writesADay), awake) + awake / 15
  const usd = (amount: number, { per, usd: price }: { per: number; usd: number }) => (amount / per) * price
  const total =
    usd(objectRequests, prices.objectRequests) +
    usd(workerRequests, prices.workerRequests) +
    usd(awake * gbOfAnObject, prices.objectGbSeconds) +
    usd(rows, prices.objectRowsWritten)
  const assumed = `${hoursADay} h on ${daysAMonth} days, ${writesADay} writes and ${messagesADay} messages each`
  return [told(`price of 1,000 members online (${assumed}), a month`, `$${total.toFixed(2)}`)]
}
