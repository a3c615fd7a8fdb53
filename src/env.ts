import * as z from "zod"
import manifest from "../package.json" with { type: "json" }
import type { DeliveryMessage, LetterMessage } from "./events/reader.ts"
import type { UserHub } from "./hub/user-hub.ts"
import type { WorkspaceHub } from "./hub/workspace-hub.ts"
import type { RateLimiter } from "./limits/rate-limiter.ts"
import type { Mailbox } from "./mail/mailbox.ts"

/** What wrangler.toml binds, and the secrets and variables that may stand beside it. */
export type Bindings = {
  DB?: D1Database
  HYPERDRIVE?: Hyperdrive
  HYPERDRIVE_REPLICA?: Hyperdrive
  USER_HUB: DurableObjectNamespace<UserHub>
  RATE_LIMITER: DurableObjectNamespace<RateLimiter>
  MAILBOX: DurableObjectNamespace<Mailbox>
  WORKSPACE_HUB: DurableObjectNamespace<WorkspaceHub>
  DELIVERIES: Queue<DeliveryMessage>
  LETTERS: Queue<LetterMessage>
  FLOOD_GUARD?: RateLimit
  EMAIL?: SendEmail
  ASSETS: Fetcher
  RELEASE?: WorkerVersionMetadata
  ENVIRONMENT?: string
  VERSION?: string
  ISSUER?: string
  ORIGIN?: string
  MAIL_FROM?: string
  RATE_LIMITS?: string
  LOG_SAMPLE_RATE?: string
  READ_ONLY?: string
  SIGNING_KEY?: string
  PREVIOUS_SIGNING_KEY?: string
  INSTANCE_KEY?: string
  OPERATOR_TOKEN?: string
  UPSTASH_REDIS_REST_URL?: string
  UPSTASH_REDIS_REST_TOKEN?: string
  WEBHOOK_RESOLVER?: string
  WEBHOOK_TIMEOUT?: string
  WEBHOOK_WAITS?: string
}

const jsonText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue({ code: "custom", message: "must be JSON" })
    return z.NEVER
  }
})

const privateKey = jsonText.pipe(
  z.object({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    kid: z.string().min(1),
    x: z.base64url().length(43),
    d: z.base64url().length(43),
  }),
)

// Where links in mail lead. What a request says about itself is not believed: its Host is the sender's to choose.
const origin = z
  .url({ protocol: /^https?$/, error: "must be an http(s) URL", abort: true })
  .refine((url) => new URL(url).origin === url, { error: "must be an origin: scheme, host and port, nothing after" })

const seconds = z
  .string()
  .regex(/^\d{1,6}(?:,\d{1,6}){0,19}$/, "must be up to 20 numbers of seconds, separated by commas")
  .transform((text) => text.split(",").map(Number))

const localOrigin = "http://127.0.0.1:8787"

const settingsSchema = z
  .object({
    ENVIRONMENT: z.enum(["production", "preview", "development"]).default("production"),
    VERSION: z.string().default(manifest.version),
    ISSUER: z.string().min(1).default("edgewise"),
    ORIGIN: origin.optional(),
    MAIL_FROM: z
      .string()
      .regex(/^[^\s@<>]+@[^\s@<>]+$|^[^@<>\r\n]+ <[^\s@<>]+@[^\s@<>]+>$/, "must be an address, or Name <address>")
      .optional(),
    EMAIL: z.custom<SendEmail>().optional(),
    RATE_LIMITS: z.enum(["standard", "relaxed"]).default("standard"),
    READ_ONLY: z.stringbool().default(false),
    LOG_SAMPLE_RATE: z.coerce.number().min(0).max(1).default(0.1),
    SIGNING_KEY: privateKey,
    PREVIOUS_SIGNING_KEY: privateKey.optional(),
    INSTANCE_KEY: z.base64url().length(43),
    OPERATOR_TOKEN: z
      .string()
      .regex(/^[!-~]{32,256}$/, "must have 32 to 256 printable ASCII characters")
      .optional(),
    UPSTASH_REDIS_REST_URL: z.url({ protocol: /^https?$/, error: "must be an http(s) URL" }).optional(),
    UPSTASH_REDIS_REST_TOKEN: z.string().min(1).optional(),
    WEBHOOK_RESOLVER: z
      .url({ protocol: /^https?$/, error: "must be an http(s) URL" })
      .default("https://cloudflare-dns.com/dns-query"),
    /** Seconds. */
    WEBHOOK_TIMEOUT: z.coerce.number().positive().max(30).default(15),
    WEBHOOK_WAITS: seconds.optional(),
  })
  .refine((settings) => !settings.UPSTASH_REDIS_REST_URL === !settings.UPSTASH_REDIS_REST_TOKEN, {
    path: ["UPSTASH_REDIS_REST_TOKEN"],
    message: "must be set where UPSTASH_REDIS_REST_URL is, and nowhere else",
  })
  .refine((settings) => settings.RATE_LIMITS === "standard" || settings.ENVIRONMENT !== "production", {
    path: ["RATE_LIMITS"],
    message: "must not be relaxed in production",
  })
  .superRefine(({ EMAIL, MAIL_FROM, ORIGIN, ENVIRONMENT }, { addIssue }) => {
    if (EMAIL === undefined) return
    const missing = { code: "custom", message: "must be set where EMAIL is bound" } as const
    if (MAIL_FROM === undefined) addIssue({ ...missing, path: ["MAIL_FROM"] })
    if (ORIGIN === undefined && ENVIRONMENT === "production") addIssue({ ...missing, path: ["ORIGIN"] })
  })
  .transform(({ EMAIL: _binding, ...settings }) => ({
    ...settings,
    ORIGIN: settings.ORIGIN ?? (settings.ENVIRONMENT === "production" ? undefined : localOrigin),
  }))

export type Settings = z.output<typeof settingsSchema>

/** Thrown for a deployment that must not serve; names the settings, never their values. */
export class SettingsError extends Error {
  override name = "SettingsError"
}

export function parseSettings(env: Partial<Bindings>): Settings {
  const parsed = settingsSchema.safeParse(env)
  if (parsed.success) return parsed.data
  throw new SettingsError(parsed.error.issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`).join("; "))
}
