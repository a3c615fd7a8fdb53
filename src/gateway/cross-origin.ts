import { cors } from "hono/cors"

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
]

/** Any page may call with a token; nothing here is authenticated by cookies, so no credentials are allowed. */
export const crossOrigin = () =>
  cors({
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
    exposeHeaders: exposed,
    maxAge: 86_400,
  })
