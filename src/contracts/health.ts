import * as z from "zod"
import { Time } from "./common.ts"

const Condition = z.enum(["healthy", "degraded", "unhealthy"])

const HealthCheck = z.object({
  status: Condition,
  latencyMs: z.int(),
  detail: z.string().optional(),
  connections: z
    .object({ open: z.int(), idle: z.int(), waiting: z.int() })
    .optional()
    .meta({ description: "The database connections of this isolate" }),
})

export const Health = z
  .object({
    status: Condition,
    timestamp: Time,
    version: z.string(),
    uptimeMs: z.int().meta({ description: "How long this isolate has served" }),
    checks: z.record(z.string(), HealthCheck),
  })
  .meta({ id: "Health" })

export type HealthView = z.output<typeof Health>

export const Liveness = z.object({ status: z.literal("alive") })

const PublicKey = z.object({
  kty: z.string(),
  crv: z.string(),
  x: z.string(),
  kid: z.string(),
  alg: z.string(),
  use: z.string(),
})

export const Jwks = z.object({ keys: z.array(PublicKey) }).meta({ id: "Jwks", description: "RFC 7517" })
