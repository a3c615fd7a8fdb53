import type { Context, Next } from "hono"
import { identifyKey, noteUse } from "../domain/api-key-access.ts"
import { DomainError, invalidApiKey } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { newId } from "../lib/ids.ts"
import { policies } from "../limits/policies.ts"
import { logFailure } from "../observability/log.ts"
import { chargeFailure } from "./limit-rate.ts"

/** Lets a request act through an API key, which asks the database only when the colo does not know the key. */
export async function admitKey(c: Context<AppEnv>, text: string, next: Next): Promise<void> {
  const { instance, db, later, requestId } = c.var
  const { keys, now, settings } = instance
  const identified = await identifyKey({ db, keys, now }, text)
  if (!identified) {
    await chargeFailure(c, policies.keyFailures)
    throw invalidApiKey()
  }
  const { key, hash, isUseDue } = identified
  if (isUseDue && !settings.READ_ONLY) {
    later(() => noteUse(db, key, now()).catch((error: unknown) => logFailure(requestId, "use of an API key", error)))
  }
  const { id, scopes, userId, role, workspaceId } = key
  const actor = { userId, role, sessionId: "", apiKey: { id, scopes } }
  c.set("ctx", { db, now, newId, actor, workspaceId, source: "api_key", idempotency: null })
  await next()
  // A commit has found that the key is none any more.
  if (c.error instanceof DomainError && c.error.code === "unauthenticated") await keys.forget(hash)
}
