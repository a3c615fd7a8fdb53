import { type Context, Hono } from "hono"
import { Batch, BatchResults, type CommandInput, type CommandResultView } from "../contracts/batch.ts"
import { DomainError, invalidApiKey } from "../domain/errors.ts"
import { chargeCommands } from "../gateway/admit-caller.ts"
import { replay } from "../gateway/replay.ts"
import type { AppEnv } from "../http/context.ts"
import { body, operation } from "../http/contract.ts"
import { onError, problemOf, refusalOf } from "../http/problem.ts"
import { logFailure } from "../observability/log.ts"

/** The request that a command is part of, handed past Hono: its `fetch` takes a request and nothing beside it. */
const outer = new WeakMap<Request, Context<AppEnv>>()

/** The routes themselves, for commands: each has a key of its own, and whoever asks has been let in already. */
function commandsTo(routes: Hono<AppEnv>[]): Hono<AppEnv> {
  const commands = new Hono<AppEnv>()
  commands.onError((error, c) => {
    if (!refusalOf(error)) logFailure(c.var.requestId, "a command", error)
    return onError(error, c)
  })
  commands.use(async (c, next) => {
    const { var: given } = outer.get(c.req.raw) as Context<AppEnv>
    for (const name of ["requestId", "instance", "db", "later"] as const) c.set(name, given[name])
    c.set("ctx", { ...given.ctx, idempotency: null })
    await next()
  })
  commands.use(replay())
  for (const each of routes) commands.route("/api/v1", each)
  return commands
}

/** Many writes in one request, done by the routes that do them alone. */
export function batchRoutes(...routes: Hono<AppEnv>[]): Hono<AppEnv> {
  const commands = commandsTo(routes)
  const batch = new Hono<AppEnv>()
  batch.post(
    "/batch",
    operation("Send what was written offline: up to 100 commands, in order", BatchResults, 200, {
      description: "Each commits alone and has its own result. docs/offline-writes.md says what holds.",
    }),
    body(Batch),
    async (c) => {
      const { commands: given } = c.req.valid("json")
      await chargeCommands(c, given.length)
      return c.json({ results: await runAll(c, commands, given) })
    },
  )
  return batch
}

async function runAll(c: Context<AppEnv>, commands: Hono<AppEnv>, given: CommandInput[]): Promise<CommandResultView[]> {
  const results: CommandResultView[] = []
  const failed = new Set<string>()
  let isOver = false
  for (const [index, command] of given.entries()) {
    const awaited = command.after.find((key) => failed.has(key))
    const why = isOver ? "It was not tried: send it again" : awaited && `${awaited} has failed, or was skipped`
    const result = why ? skipped(c, command, why) : await run(c, commands, command, index)
    if (result.status >= 400) failed.add(command.key)
    // Nothing overtakes a command that may yet be done when it is sent again.
    if (result.status === 503 || result.status === 401) isOver = true
    results.push(result)
  }
  return results
}

function skipped(c: Context<AppEnv>, { key }: CommandInput, why: string): CommandResultView {
  return { key, status: 424, replayed: false, problem: problemOf(c, new DomainError("skipped", why)) }
}

async function run(
  c: Context<AppEnv>,
  commands: Hono<AppEnv>,
  { key, method, path, body: text, ifMatch }: CommandInput,
  index: number,
): Promise<CommandResultView> {
  const request = new Request(new URL(`/api/v1${path}`, c.req.url), {
    method,
    headers: {
      "idempotency-key": key,
      ...(text !== undefined && { "content-type": "application/json" }),
      ...(ifMatch !== undefined && { "if-match": ifMatch }),
    },
    ...(text !== undefined && { body: text }),
  })
  outer.set(request, c)
  const answer = await commands.fetch(request, c.env, c.executionCtx)
  const told = await answer.text()
  const result = { key, status: answer.status, replayed: answer.headers.has("idempotency-replayed") }
  if (!answer.ok) {
    tellFurther(c, answer)
    const problem = JSON.parse(told) as NonNullable<CommandResultView["problem"]>
    return { ...result, problem: pointedAt(problem, `/commands/${index}`) }
  }
  const etag = answer.headers.get("etag")
  return { ...result, ...(etag && { etag }), ...(told && { body: JSON.parse(told) as unknown }) }
}

/** What a command was told that is true of the whole request. */
function tellFurther(c: Context<AppEnv>, answer: Response): void {
  const retryAfter = answer.headers.get("retry-after")
  if (retryAfter) c.header("retry-after", retryAfter)
  // Whoever let the key in shall forget it.
  if (answer.status === 401) c.error = invalidApiKey()
}

/** Names fields by where they stand in the batch. */
function pointedAt<P extends NonNullable<CommandResultView["problem"]>>(problem: P, command: string): P {
  if (!problem.errors) return problem
  const errors = problem.errors.map(({ pointer, detail }) => ({
    pointer: pointer === "Idempotency-Key" ? `${command}/key` : `${command}/body${pointer}`,
    detail,
  }))
  return { ...problem, errors }
}
