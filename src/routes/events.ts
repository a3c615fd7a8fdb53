import { Hono } from "hono"
import { EventPage, EventQuery } from "../contracts/events.ts"
import { listEvents } from "../domain/activity.ts"
import type { AppEnv } from "../http/context.ts"
import { operation, query } from "../http/contract.ts"

export const eventRoutes = new Hono<AppEnv>()

eventRoutes.get("/events", operation("Read the log of what happened", EventPage), query(EventQuery), async (c) => {
  c.header("cache-control", "private, no-cache")
  return c.json(await listEvents(c.var.ctx, c.req.valid("query")))
})
