import type { EventMessageView, ServerMessageView } from "../contracts/realtime.ts"
import { pauseBefore } from "./backoff.ts"
import type { Client } from "./client.ts"

/** Of a WebSocket, what is used here: the browser's, Node's and that of `ws` have it. */
export type Socket = {
  send(text: string): void
  close(code?: number, reason?: string): void
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: never) => void): void
}

export type Presence = { taskId: string; userIds: string[] }
type ResyncMessage = Extract<ServerMessageView, { type: "resync" }>

/** Whether it is connected; `refused`: the server will not have it, and no further try is made. */
export type State = "connecting" | "live" | "waiting" | "refused" | "closed"

type Options = {
  /** The last number of the log that is known, asked at every connection; undefined: from now on. */
  since: () => number | undefined
  /**
   * In order, each number once. The next message waits until it has resolved; if it fails, this one is told again,
   * after a pause and over another socket.
   */
  onEvent: (event: EventMessageView) => void | Promise<void>
  /**
   * Too much was missed: the log has to be read; or everything anew, if its number is lower than one that is known. From
   * then on `since` is no higher. Waited for, and asked again if it fails, as with `onEvent`.
   */
  onResync?: (message: ResyncMessage) => void | Promise<void>
  onPresence?: (presence: Presence) => void
  onState?: (state: State) => void
  /** Opens a socket; by itself `new WebSocket(url)`. */
  connect?: (url: string) => Socket | Promise<Socket>
  random?: () => number
}

export type Realtime = {
  /** Tells that this task is looked at, or none; told again after every reconnect. */
  look(taskId: string | null): void
  close(): void
}

/** The server has ended it for good: no longer a member, or the workspace is gone. */
const forbidden = 4403
const acknowledgedEvery = 65_536
const quietFor = 25_000
const pongWithin = 10_000
const steadyAfter = 10_000

type Timer = ReturnType<typeof setTimeout>

/** Follows the log over a WebSocket, and comes back with what was missed however often it breaks. */
export function openRealtime(client: Client, options: Options): Realtime {
  const { random = Math.random, connect = (url) => new WebSocket(url) as unknown as Socket, onState } = options
  let state: State = "closed"
  let socket: Socket | null = null
  let looking: string | null = null
  let attempt = 0
  let liveSince: number | null = null
  let retry: Timer | undefined
  let last: number | undefined

  const tell = (next: State) => {
    if (state === next || state === "refused") return
    state = next
    onState?.(next)
  }
  const isEnded = () => state === "closed" || state === "refused"

  function comeBack(): void {
    if (isEnded()) return
    tell("waiting")
    retry = setTimeout(() => void open(), pauseBefore(attempt, random))
    attempt += 1
  }

  async function open(): Promise<void> {
    if (isEnded()) return
    tell("connecting")
    try {
      const { ticket } = await client.request<{ ticket: string }>("POST", "/realtime/tickets")
      const since = Math.max(options.since() ?? -1, last ?? -1)
      const query = new URLSearchParams({ ticket, ...(since >= 0 && { since: String(since) }) })
      const opened = await connect(`${client.url.replace(/^http/, "ws")}/api/v1/realtime?${query}`)
      if (isEnded()) opened.close()
      else listen(opened)
    } catch (error) {
      const { status = 0 } = error as { status?: number }
      if (status === 403) tell("refused")
      comeBack()
    }
  }

  function listen(opened: Socket): void {
    socket = opened
    let received = 0
    let acknowledged = 0
    let queue = Promise.resolve()
    let hasFailed = false
    let watch: Timer | undefined

    const send = (text: string) => {
      // One that has just broken refuses it; its close event says so.
      try {
        opened.send(text)
      } catch {
        watch = undefined
      }
    }
    const expectSign = () => {
      clearTimeout(watch)
      watch = setTimeout(() => {
        send("ping")
        watch = setTimeout(() => breakOff("no sign of life"), pongWithin)
      }, quietFor)
    }
    const leave = ({ code = 0 }: { code?: number }) => {
      clearTimeout(watch)
      if (socket !== opened) return
      socket = null
      // Whoever is ended for a reason as soon as they are live, again and again, comes back later each time.
      const isRefused = code >= 4400 && code < 4500
      if (liveSince !== null && (!isRefused || Date.now() - liveSince >= steadyAfter)) attempt = 0
      liveSince = null
      if (code === forbidden) tell("refused")
      // What has arrived is handed over before the next connection asks for what comes after it.
      void queue.then(comeBack)
    }
    const breakOff = (why: string) => {
      opened.close(4000, why)
      // Over a dead line its close event would come late, or never.
      leave({})
    }
    const take = async (text: string) => {
      // What follows on a message that failed would pass it over.
      if (hasFailed) return
      try {
        await handle(JSON.parse(text) as ServerMessageView)
      } catch {
        hasFailed = true
        breakOff("failed")
      }
    }
    opened.addEventListener("message", ({ data }: { data: string }) => {
      // After it was left, another one tells the same.
      if (socket !== opened) return
      expectSign()
      if (data === "pong") return
      received += data.length
      if (received - acknowledged >= acknowledgedEvery) {
        acknowledged = received
        send(JSON.stringify({ type: "ack", received }))
      }
      queue = queue.then(() => take(data))
    })
    opened.addEventListener("close", leave)
    opened.addEventListener("error", () => leave({}))
    expectSign()
  }

  async function handle(message: ServerMessageView): Promise<void> {
    if (isEnded()) return
    switch (message.type) {
      case "ready":
        liveSince = Date.now()
        last = message.seq
        tell("live")
        if (looking !== null) look(looking)
        return
      case "resync":
        await options.onResync?.(message as ResyncMessage)
        last = message.seq
        return
      case "presence": {
        const { subject, data } = message as Extract<ServerMessageView, { type: "presence" }>
        options.onPresence?.({ taskId: subject.id, userIds: data.userIds })
        return
      }
      default:
        if (last !== undefined && message.seq <= last) return
        await options.onEvent(message as EventMessageView)
        last = message.seq
    }
  }

  function look(taskId: string | null): void {
    looking = taskId
    if (state === "live") socket?.send(JSON.stringify({ type: "look", taskId }))
  }

  tell("connecting")
  void open()
  return {
    look,
    close() {
      tell("closed")
      clearTimeout(retry)
      socket?.close(1000, "done")
      socket = null
    },
  }
}
