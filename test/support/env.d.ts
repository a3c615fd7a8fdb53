import type { D1Migration } from "cloudflare:test"
import type { Bindings } from "../../src/env.ts"

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {
      TEST_MIGRATIONS: D1Migration[]
      /** The Postgres of the suite, 40 ms away each way. */
      SLOW_POSTGRES: string
      /** Tells the round trips of each connection to it since the last time. */
      SLOW_POSTGRES_TRIPS: string
      /** Tells where a primary and its replica are, which start when somebody asks: see postgres-pair.ts. */
      POSTGRES_PAIR: string
      /** A Redis behind Upstash's protocol; missing where none is installed. */
      TEST_UPSTASH_URL: string
      TEST_UPSTASH_TOKEN: string
    }
    interface GlobalProps {
      mainModule: typeof import("../../src/worker.ts")
    }
  }
}
