import { join } from "node:path"
import { createTestHarness } from "wrangler"
import { makeSecrets } from "../../scripts/secrets.ts"

export type Server = { url: string; stop(): Promise<void> }

const root = join(import.meta.dirname, "../..")

// Nothing here leaves this machine.
process.env["CLOUDFLARE_CF_FETCH_ENABLED"] = "false"
process.env["WRANGLER_SEND_METRICS"] = "false"

type Options = { vars?: Record<string, string>; postgres?: string }

/**
 * The real Worker on a free port of this machine, with secrets of its own: over an empty D1, or the Postgres that is
 * given.
 */
export async function startServer({ vars = {}, postgres }: Options = {}): Promise<Server> {
  if (postgres) process.env["CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE"] = postgres
  const harness = createTestHarness({
    root,
    workers: [
      {
        configPath: postgres ? "wrangler.postgres.toml" : "wrangler.toml",
        vars: { ENVIRONMENT: "development", RATE_LIMITS: "relaxed", LOG_SAMPLE_RATE: "0", ...vars },
        secrets: await makeSecrets(),
      },
    ],
  })
  const { url } = await harness.listen()
  if (!postgres) await harness.getWorker().applyD1Migrations("DB")
  return { url: url.origin, stop: () => harness.close() }
}
