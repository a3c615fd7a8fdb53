import { join } from "node:path"
import { createTestHarness } from "wrangler"
import { makeSecrets } from "../../scripts/secrets.ts"

export type Server = { url: string; stop(): Promise<void> }

const root = join(import.meta.dirname, "../..")

// Nothing here leaves this machine.
process.env["CLOUDFLARE_CF_FETCH_ENABLED"] = "false"
process.env["WRANGLER_SEND_METRICS"] = "false"

/** The real Worker on a free port of this machine, over an empty database, with secrets of its own. */
export async function startServer(vars: Record<string, string> = {}): Promise<Server> {
  const harness = createTestHarness({
    root,
    workers: [
      {
        configPath: "wrangler.toml",
        vars: { ENVIRONMENT: "development", RATE_LIMITS: "relaxed", LOG_SAMPLE_RATE: "0", ...vars },
        secrets: await makeSecrets(),
      },
    ],
  })
  const { url } = await harness.listen()
  await harness.getWorker().applyD1Migrations("DB")
  return { url: url.origin, stop: () => harness.close() }
}
