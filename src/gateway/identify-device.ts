import { createMiddleware } from "hono/factory"
import type { AppEnv } from "../http/context.ts"
import { newId } from "../lib/ids.ts"

// Cloudflare sets this header itself and lets no client set it. Where nothing sets it, everybody is one address.
export const clientAddress = (header: string | undefined): string => header ?? "unknown"

/** Hands the verbs of sign-in what they need, with the device that asks. */
export const identifyDevice = () =>
  createMiddleware<AppEnv>(async function identifyDevice(c, next) {
    const { instance, db } = c.var
    const { hasher, tokens, sessions, mail, instanceKey, now } = instance
    const device = {
      userAgent: (c.req.header("user-agent") ?? "").slice(0, 256),
      address: clientAddress(c.req.header("cf-connecting-ip")),
    }
    c.set("identity", { db, now, newId, hasher, tokens, sessions, mail, instanceKey, device })
    // Answers here hold tokens or speak of them.
    c.header("cache-control", "no-store")
    await next()
  })
