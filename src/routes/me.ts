import { Hono } from "hono"
import { Me, MePatch } from "../contracts/me.ts"
import * as me from "../domain/me.ts"
import { conditional, expectedRevision } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, operation } from "../http/contract.ts"
import { doLater } from "../http/later.ts"

export const meRoutes = new Hono<AppEnv>()

meRoutes.get("/me", operation("Who am I", Me), async (c) => {
  const user = await me.getMe(c.var.ctx)
  return conditional(c, user, user)
})

meRoutes.patch(
  "/me",
  operation("Change my profile and settings", Me, 200, {
    description: "Null takes a setting back to what it is by itself.",
  }),
  body(MePatch),
  async (c) => {
    const { revision, ...patch } = c.req.valid("json")
    const user = await me.updateMe(c.var.ctx, patch, expectedRevision(c, revision))
    if (patch.timeZone !== undefined) doLater(c, "time zone", () => c.var.instance.inboxes.changeZone(user.id))
    return conditional(c, user, user)
  },
)
