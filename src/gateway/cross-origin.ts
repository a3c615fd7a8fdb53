import { cors } from "hono/cors"
import { createMiddleware } from "hono/factory"

const exposed = [
  "ETag",
  "Location",
  "Link",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "X-Request-Id",
  "Idempotency-Replayed",
  "Server-Timing",
  "Edgewise-Bookmark",
  "X-Cache",
  "Age",
].join(",")

const preflight = cors({
  origin: "*",
  allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
  allowHeaders: [
    "Authorization",
    "X-API-Key",
    "Content-Type",
    "Cache-Control",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Edgewise-Bookmark",
  ],
  maxAge: 86_400,
})

/** Any page may call with a token; nothing here is authenticated by cookies, so no credentials are allowed. */
export const crossOrigin = () =>
  createMiddleware(async function crossOrigin(c, next) {
    if (c.req.method === "OPTIONS") return preflight(c, next)
    // Not on an answer that is not there yet: hono would copy all of it into the one that comes.
    c.header("access-control-allow-origin", "*")
    c.header("access-control-expose-headers", exposed)
    await next()
  })
