import { Hono } from "hono"
import { AvatarPath } from "../contracts/me.ts"
import { notFound } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { operation, params } from "../http/contract.ts"
import { avatarSvg, parseAvatar } from "../lib/avatar.ts"

export const avatarRoutes = new Hono<AppEnv>()

avatarRoutes.get(
  "/avatars/:file",
  operation("A picture with initials, as SVG", null, 200, {
    isPublic: true,
    description: "`avatarUrl` of a user or member names one. An address always shows the same.",
  }),
  params(AvatarPath),
  (c) => {
    const avatar = parseAvatar(c.req.valid("param").file)
    if (!avatar) throw notFound("avatar")
    c.header("cache-control", "public, max-age=31536000, immutable")
    return c.body(avatarSvg(avatar), 200, { "content-type": "image/svg+xml" })
  },
)
