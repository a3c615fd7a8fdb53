import { createMiddleware } from "hono/factory"
import { type Db, openDb } from "../db/db.ts"
import { isRead } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import type { Instance } from "../instance.ts"
import { newId } from "../lib/ids.ts"
import { bookmarkIn } from "./keep-bookmark.ts"

/** Gives a request its id and its database. */
export const openRequest = (instance: Instance) =>
  createMiddleware<AppEnv>(async function openRequest(c, next) {
    const requestId = newId("request")
    c.set("requestId", requestId)
    c.set("instance", instance)
    const db = openDb(instance.database.connect(isRead(c) ? bookmarkIn(c) : null), {
      isReadOnly: instance.settings.READ_ONLY,
    })
    c.set("db", db)
    const leftover: (() => Promise<unknown>)[] = []
    c.set("later", (work) => void leftover.push(work))
    c.header("x-request-id", requestId)
    // From the start, so that a client who goes away leaves no connection behind; and the answer waits for no goodbye.
    const closed = Promise.withResolvers<void>()
    c.executionCtx.waitUntil(closed.promise)
    try {
      await next()
    } finally {
      closed.resolve(finish(leftover, db))
    }
  })

/** What was left for after the answer, and then the goodbye. It changes no answer any more if that fails. */
async function finish(leftover: (() => Promise<unknown>)[], db: Db): Promise<void> {
  await Promise.allSettled(leftover.map((work) => work()))
  await db.close()
}
