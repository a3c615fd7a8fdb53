import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { Bench } from "../bench.ts"
import { median, quantile, send } from "../load.ts"
import { type Report, told } from "../report.ts"
import { type Plan, taskText, type Viewer, viewersOf } from "../seed/rows.ts"
import { newD1, ours, type ServedSide } from "../sides.ts"
import { nth } from "../work.ts"

const plan: Plan = { workspaces: 1, members: 1, projects: 5, tasksPerProject: 10, labels: 0, subtasks: 0 }
const tasks = 1_000
const tasksPerRequest = 100

const method = `One Worker on D1, a webhook, and a receiver on this machine that takes everything at once. Throughput: ${tasks} tasks are
created, ${tasksPerRequest} a request, and the time is taken from the first request to the last message; the local queue hands over
batches of 20 after a second at most, as it is configured. Latency: one task at a time, from sending the request to the arrival of its message.`

type Receiver = { url: string; arrived: Map<string, number>; stop(): Promise<void> }

async function openReceiver(): Promise<Receiver> {
  const arrived = new Map<string, number>()
  const server = createServer((request, answer) => {
    request.resume()
    request.on("end", () => {
      arrived.set(String(request.headers["webhook-id"]), performance.now())
      answer.writeHead(204).end()
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    arrived,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    },
  }
}

const patienceMs = 120_000

/** Resolves with the time at which the last of so many messages came. */
async function lastOf({ arrived }: Receiver, count: number): Promise<number> {
  for (let waited = 0; arrived.size < count; waited += 5) {
    if (waited > patienceMs) throw new Error(`Only ${arrived.size} of ${count} messages came`)
    await sleep(5)
  }
  return Math.max(...arrived.values())
}

export async function webhooks(bench: Bench): Promise<Report> {
  const viewers = viewersOf(plan)
  const [owner] = viewers as [Viewer]
  const side = await ours(bench, { state: (await newD1(bench, plan)).state, viewers })
  const receiver = bench.own(await openReceiver())
  const headers = side.headersOf(owner)
  const body = { url: receiver.url, events: ["task.created"] }
  await send(side.url, { method: "POST", path: "/api/v1/webhooks", headers, body, expected: 201 })

  const latencies: number[] = []
  for (let n = 0; n < 20; n += 1) {
    const start = performance.now()
    await create(side, owner, 1, n)
    latencies.push((await lastOf(receiver, n + 1)) - start)
  }
  const before = receiver.arrived.size
  const start = performance.now()
  for (let n = 0; n < tasks / tasksPerRequest; n += 1) await create(side, owner, tasksPerRequest, n)
  const seconds = ((await lastOf(receiver, before + tasks)) - start) / 1_000
  bench.tell(`${tasks} messages in ${seconds.toFixed(1)} s`)
  return {
    method,
    rows: [
      told("webhooks: messages a second, one receiver", (tasks / seconds).toFixed(0)),
      told("webhooks: request to message, p50", `${median(latencies).toFixed(0)} ms`),
      told("webhooks: request to message, p99", `${quantile(latencies, 0.99).toFixed(0)} ms`),
    ],
    data: { seconds, latencies },
  }
}

async function create(side: ServedSide, owner: Viewer, count: number, n: number): Promise<void> {
  const projectId = nth(owner.projects, n).id
  const body = { tasks: Array.from({ length: count }, (_, i) => ({ projectId, ...taskText(i) })) }
  await send(side.url, {
    method: "POST",
    path: "/api/v1/tasks/bulk",
    headers: side.headersOf(owner),
    body,
    expected: 201,
  })
}
