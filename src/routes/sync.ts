import { Hono } from "hono"
import { SyncPage, SyncQuery } from "../contracts/sync.ts"
import { viewSnapshot } from "../domain/sync.ts"
import type { AppEnv } from "../http/context.ts"
import { operation, query } from "../http/contract.ts"

export const syncRoutes = new Hono<AppEnv>()

syncRoutes.get(
  "/sync",
  operation("Copy all that you see", SyncPage, 200, {
    description: "Then follow `/events?after=` its `seq`, or the WebSocket; docs/sync.md tells how to apply them.",
  }),
  query(SyncQuery),
  async (c) => c.json(await viewSnapshot(c.var.ctx, c.req.valid("query"))),
)
