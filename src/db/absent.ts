import { SettingsError } from "../env.ts"
import type { Database } from "./engine.ts"

// A deployment carries the driver and the dialect of its own database, and this in the place of the other one: see `alias`
// in wrangler.toml and wrangler.postgres.toml.

const absent = (binding: string, file: string) =>
  new SettingsError(`${binding}: this Worker was built for the other database; deploy it with ${file}`)

export function d1Database(_binding: D1Database): Database {
  throw absent("DB", "wrangler.toml")
}

export function postgresDatabase(_connectionString: string): Database {
  throw absent("HYPERDRIVE", "wrangler.postgres.toml")
}
