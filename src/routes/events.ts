import { Hono } from "hono"
import { EventPage, EventQuery } from "../contracts/events.ts"
import { listEvents } from "../domain/activity.ts"
import { whole } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { cachedOperation, query } from "../http/contract.ts"

export const eventRoutes = new Hono<AppEnv>()

eventRoutes.get("/events", cachedOperation("Read the log of what happened", EventPage), query(EventQuery), async (c) =>
  whole(c, await listEvents(c.var.ctx, c.req.valid("query"))),
)
