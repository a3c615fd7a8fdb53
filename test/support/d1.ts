import { env } from "cloudflare:workers"

/** The binding, for what is only about D1. */
export const d1 = env.DB as D1Database
