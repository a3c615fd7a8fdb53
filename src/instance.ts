import { coloStore } from "./cache/colo.ts"
import { Flights } from "./cache/flights.ts"
import { type KeyMemory, keyMemory } from "./cache/key-memory.ts"
import { type Responses, responsesOf } from "./cache/responses.ts"
import { type Revs, revsIn } from "./cache/revs.ts"
import { databaseOf } from "./db/db.ts"
import type { Database } from "./db/engine.ts"
import type { Mail } from "./domain/mail.ts"
import type { Inboxes } from "./domain/notifications.ts"
import type { Sessions } from "./domain/sessions.ts"
import type { Targets } from "./domain/webhook-filters.ts"
import { type Bindings, parseSettings, type Settings } from "./env.ts"
import { targetsOf } from "./events/targets.ts"
import { inboxDirectory } from "./hub/inbox-directory.ts"
import { sessionDirectory } from "./hub/session-directory.ts"
import { type WorkspaceHubs, workspaceDirectory } from "./hub/workspace-directory.ts"
import { type AccessTokens, openAccessTokens } from "./lib/access-token.ts"
import { fromBase64Url } from "./lib/bytes.ts"
import { hmac, hmacKey } from "./lib/hmac.ts"
import { type PasswordHasher, scryptHasher } from "./lib/passwords.ts"
import { durableEngine } from "./limits/durable.ts"
import { leased } from "./limits/leased.ts"
import { type Engine, type Limiter, relaxed } from "./limits/limiter.ts"
import { upstashEngine } from "./limits/upstash.ts"
import { mailOf } from "./mail/mail.ts"
import { consoleLog, type Log } from "./observability/log.ts"

/** What an isolate sets up once and every request uses: settings, imported keys, and the parts behind interfaces. */
export type Instance = {
  settings: Settings
  database: Database
  tokens: AccessTokens
  hasher: PasswordHasher
  sessions: Sessions
  limiter: Limiter
  keys: KeyMemory
  revs: Revs
  responses: Responses
  flights: Flights
  /** Names the code that answers: every deployment has another one. */
  release: string
  /** Who reads the logs behind the writes. */
  hubs: WorkspaceHubs
  inboxes: Inboxes
  mail: Mail
  /** Where webhooks may lead. */
  targets: Targets
  /** Closes what is handed out and comes back: nobody else can make it. */
  instanceKey: CryptoKey
  log: Log
  now: () => number
  startedAt: number
}

// Characters of answers that an isolate keeps: it has 128 MB for everything, and a character takes up to two bytes.
const memoryCapacity = 8_000_000

/** Who counts for a deployment, decided here and nowhere else. */
function engineOf(
  { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token }: Settings,
  { RATE_LIMITER }: Pick<Bindings, "RATE_LIMITER">,
): Engine {
  return url && token ? upstashEngine({ url, token }) : durableEngine(RATE_LIMITER)
}

/** Throws SettingsError for a deployment that must not serve. */
export async function openInstance(env: Bindings): Promise<Instance> {
  const settings = parseSettings(env)
  const now = () => Date.now()
  const limiter = leased(engineOf(settings, env), now)
  const instanceKey = await hmacKey(fromBase64Url(settings.INSTANCE_KEY) ?? new Uint8Array())
  const colo = coloStore(caches.default, { origin: settings.ORIGIN, scope: await hmac(instanceKey, "cache") })
  return {
    settings,
    database: await databaseOf(env),
    tokens: await openAccessTokens({
      issuer: settings.ISSUER,
      signingKey: settings.SIGNING_KEY,
      previousKeys: settings.PREVIOUS_SIGNING_KEY ? [settings.PREVIOUS_SIGNING_KEY] : [],
    }),
    hasher: scryptHasher(),
    sessions: sessionDirectory({ hubs: env.USER_HUB, instanceKey, now }),
    keys: keyMemory({ now, colo }),
    revs: revsIn(colo),
    responses: responsesOf({ now, capacity: memoryCapacity }),
    flights: new Flights(),
    release: env.RELEASE?.id ?? settings.VERSION,
    limiter: settings.RATE_LIMITS === "relaxed" ? relaxed(limiter) : limiter,
    hubs: workspaceDirectory(env.WORKSPACE_HUB),
    inboxes: inboxDirectory(env.USER_HUB),
    instanceKey,
    mail: mailOf({ bindings: env, settings, now }),
    targets: targetsOf({
      resolver: settings.WEBHOOK_RESOLVER,
      isLocalAllowed: settings.ENVIRONMENT === "development",
    }),
    log: consoleLog,
    now,
    startedAt: now(),
  }
}
