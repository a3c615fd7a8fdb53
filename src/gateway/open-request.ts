import { createMiddleware } from "hono/factory"
import { openDb } from "../db/db.ts"
import type { AppEnv } from "../http/context.ts"
import type { Instance } from "../instance.ts"
import { newId } from "../lib/ids.ts"

/** Gives a request its id and its database. */
export const openRequest = (instance: Instance) =>
  createMiddleware<AppEnv>(async function openRequest(c, next) {
    const requestId = newId("request")
    c.set("requestId", requestId)
    c.set("instance", instance)
    const db = openDb(instance.database.connect(), { isReadOnly: instance.settings.READ_ONLY })
    c.set("db", db)
    c.header("x-request-id", requestId)
    // From the start, so that a client who goes away leaves no connection behind; and the answer waits for no goodbye.
    const closed = Promise.withResolvers<void>()
    c.executionCtx.waitUntil(closed.promise)
    try {
      await next()
    } finally {
      closed.resolve(db.close())
    }
  })
