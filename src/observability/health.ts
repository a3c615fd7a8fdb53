import type { HealthView } from "../contracts/health.ts"
import { within } from "../lib/deadline.ts"
import { rfc3339, second } from "../lib/time.ts"

type Condition = HealthView["status"]
/** Resolves when what it looks at works. */
export type Check = () => Promise<unknown>

const deadline = 3 * second
const slow = second

// A check may throw before it has a promise: a binding that is not there.
const attempt = async (check: Check) => check()

/** Runs every check at once. What does not answer is unhealthy; what answers late is degraded. */
export async function checkHealth(
  checks: Record<string, Check>,
  { version, startedAt, now }: { version: string; startedAt: number; now: () => number },
): Promise<HealthView> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const start = now()
      const failure = await within(deadline, attempt(check)).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.name : "Error"),
      )
      const latencyMs = now() - start
      const status: Condition = failure ? "unhealthy" : latencyMs > slow ? "degraded" : "healthy"
      return [name, { status, latencyMs, ...(failure && { detail: failure }) }] as const
    }),
  )
  const conditions = results.map(([, { status }]) => status)
  const worst = (["unhealthy", "degraded"] as const).find((condition) => conditions.includes(condition))
  return {
    status: worst ?? "healthy",
    timestamp: rfc3339(now()),
    version,
    uptimeMs: now() - startedAt,
    checks: Object.fromEntries(results),
  }
}
