import { execFile } from "node:child_process"
import { appendFile, chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { migratePostgres } from "../../scripts/postgres/migrate.ts"
import { startPostgres } from "../../scripts/postgres/server.ts"
import { type SlowProxy, startSlowProxy } from "./slow-proxy.ts"

/** A primary and a replica that streams from it; each once more, 40 ms away, and where to ask how often somebody went. */
export type Pair = Record<"primary" | "replica", { url: string; slowUrl: string; trips: string }>
type Running = { pair: Pair; replica: { start(): Promise<void>; stop(): Promise<void> }; stop(): Promise<void> }

export type PairOnDemand = { control: string; stop(): Promise<void> }

/**
 * For one file of tests, and started when that asks: `POST control` makes a new pair in the place of the last one and
 * tells where it is, `POST control/stop` and `POST control/start` stop its replica and start it again.
 */
export async function pairOnDemand(): Promise<PairOnDemand> {
  let last: Promise<Running> | undefined
  const end = async () => (await last?.catch(() => null))?.stop()
  const answer = async (path = "/"): Promise<Pair | undefined> => {
    if (path === "/") last = end().then(startPair)
    const running = await last
    if (path === "/start") await running?.replica.start()
    if (path === "/stop") await running?.replica.stop()
    return running?.pair
  }
  const server = createServer((request, response) => {
    answer(request.url).then(
      (pair) => response.end(JSON.stringify(pair)),
      (error) => response.writeHead(500).end(String(error)),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    control: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await end()
    },
  }
}

async function startPair(): Promise<Running> {
  const homes = await Promise.all(["primary", "replica"].map((name) => mkdtemp(join(tmpdir(), `edgewise-${name}-`))))
  const [home = "", copy = ""] = homes
  const primary = await startPostgres({ folder: home })
  await migratePostgres(primary.url)
  await primary.stop()
  await promisify(execFile)("cp", ["-a", `${home}/.`, copy])
  await follow(join(copy, "data"), primary.url)
  await primary.start()
  const replica = await startPostgres({ folder: copy })
  const servers = { primary, replica }
  const proxies = await Promise.all(Object.values(servers).map(({ port }) => startSlowProxy(port, 40)))
  const [toPrimary, toReplica] = proxies
  const told = ({ url, port }: typeof primary, slow: SlowProxy | undefined) => ({
    url,
    slowUrl: url.replace(`:${port}/`, `:${slow?.port}/`),
    trips: slow?.control ?? "",
  })
  return {
    pair: { primary: told(primary, toPrimary), replica: told(replica, toReplica) },
    replica,
    stop: async () => {
      await Promise.all(proxies.map((proxy) => proxy.stop()))
      await replica.stop()
      await primary.stop()
      await Promise.all(homes.map((folder) => rm(folder, { recursive: true, force: true })))
    },
  }
}

/** Makes a copy of a primary's data that of a replica. What stands in the way of replay there is soon cancelled. */
async function follow(data: string, url: string): Promise<void> {
  const { hostname, port, username, password } = new URL(url)
  const from = `host=${hostname} port=${port} user=${username} password=${password}`
  await appendFile(
    join(data, "postgresql.auto.conf"),
    `primary_conninfo = '${from}'\nmax_standby_streaming_delay = 200\n`,
  )
  const signal = join(data, "standby.signal")
  await writeFile(signal, "")
  const { uid, gid } = await stat(join(data, "PG_VERSION"))
  await chown(signal, uid, gid)
}
