import { randomBytes } from "node:crypto"
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin"
import { defineConfig } from "vitest/config"
import { makeSecrets } from "./scripts/secrets.ts"

// Two places to run tests: in workerd with the real bindings of wrangler.toml, and in Node for what looks at the
// repository, its commands and a browser.
export default defineConfig(async () => ({
  test: {
    projects: [
      {
        plugins: [
          cloudflareTest({
            main: "./src/worker.ts",
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                ...(await makeSecrets()),
                ENVIRONMENT: "development",
                LOG_SAMPLE_RATE: "0",
                TEST_RUN: randomBytes(4).toString("hex"),
                TEST_MIGRATIONS: await readD1Migrations("./migrations/d1"),
              },
            },
          }),
        ],
        test: {
          name: "worker",
          include: [
            "test/{routes,gateway,http,domain,db,hub,limits,lib,observability}/**/*.test.ts",
            "test/*.worker.test.ts",
          ],
          setupFiles: ["./test/support/setup.ts"],
          testTimeout: 30_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "node",
          include: ["test/{e2e,scripts}/**/*.test.ts", "test/architecture.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
}))
