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
    c.set("db", openDb(c.env.DB))
    c.header("x-request-id", requestId)
    await next()
  })
