import { applyD1Migrations } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { d1 } from "./d1.ts"

await applyD1Migrations(d1, env.TEST_MIGRATIONS)
