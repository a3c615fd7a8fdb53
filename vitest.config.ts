import { randomBytes } from "node:crypto"
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin"
import { defineConfig } from "vitest/config"
import { makeSecrets } from "./scripts/secrets.ts"
import { postgresForTests } from "./test/support/postgres-server.ts"
import { redisForTests } from "./test/support/redis-server.ts"

const suites = [
  "test/{routes,gateway,http,events,domain,db,cache,hub,mail,limits,lib,observability}/**/*.test.ts",
  "test/*.worker.test.ts",
]

// The same suite in workerd with the real bindings of wrangler.toml or wrangler.postgres.toml, once per database; and in Node what looks at the
// repository, its commands and a browser.
export default defineConfig(async () => {
  const [postgres, redis] = await Promise.all([postgresForTests(), redisForTests()])
  const bindings = {
    ...(await makeSecrets()),
    ENVIRONMENT: "development",
    LOG_SAMPLE_RATE: "0",
    TEST_RUN: randomBytes(4).toString("hex"),
  }
  const migrations = await readD1Migrations("./migrations/d1")
  const onD1 = cloudflareTest({
    main: "./src/worker.ts",
    wrangler: { configPath: "./wrangler.toml" },
    miniflare: {
      bindings: {
        ...bindings,
        TEST_MIGRATIONS: migrations,
        ...("url" in redis && { TEST_UPSTASH_URL: redis.url, TEST_UPSTASH_TOKEN: redis.token }),
      },
    },
  })
  if ("url" in postgres) process.env["CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE"] = postgres.url
  const onPostgres = cloudflareTest({
    main: "./src/worker.ts",
    wrangler: { configPath: "./wrangler.postgres.toml" },
    miniflare: {
      bindings: {
        ...bindings,
        ...("url" in postgres && {
          SLOW_POSTGRES: postgres.slowUrl,
          SLOW_POSTGRES_TRIPS: postgres.slowControl,
          POSTGRES_PAIR: postgres.pairControl,
        }),
      },
    },
  })
  const timeouts = { testTimeout: 30_000, hookTimeout: 120_000 }

  return {
    // What a package has for Workers. The plugin asks for it in its projects; packages' own requires are resolved here.
    ssr: { resolve: { conditions: ["workerd", "module", "development|production"] } },
    test: {
      reporters: ["default", "./test/support/suites-reporter.ts"],
      globalSetup: ["./test/support/postgres-server.ts", "./test/support/redis-server.ts"],
      provide: {
        postgresMissing: "missing" in postgres ? postgres.missing : "",
        redisMissing: "missing" in redis ? redis.missing : "",
      },
      projects: [
        {
          plugins: [onD1],
          test: {
            name: "worker on D1",
            include: suites,
            exclude: ["test/**/*.postgres.test.ts", ...("missing" in redis ? ["test/**/*.redis.test.ts"] : [])],
            setupFiles: ["./test/support/setup.ts"],
            ...timeouts,
          },
        },
        "url" in postgres
          ? {
              plugins: [onPostgres],
              test: {
                name: "worker on Postgres",
                include: suites,
                // What has nothing to do with the database runs once.
                exclude: ["test/**/*.d1.test.ts", "test/**/*.redis.test.ts"],
                ...timeouts,
                // Every request opens a connection of its own, which costs a server process here.
                testTimeout: 120_000,
              },
            }
          : { test: { name: "worker on Postgres", include: ["test/support/postgres-missing.test.ts"] } },
        ...("missing" in redis
          ? [{ test: { name: "limits on Upstash", include: ["test/support/redis-missing.test.ts"] } }]
          : []),
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
  }
})
