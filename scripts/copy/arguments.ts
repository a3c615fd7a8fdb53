import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import type { PlaceSettings } from "./places.ts"

export type Options = { from: PlaceSettings; to: PlaceSettings; isOverwrite: boolean }

/** Thrown for what the caller has to put right before anything can be done. */
export class BadArguments extends Error {
  override name = "BadArguments"
}

const root = join(import.meta.dirname, "../..")
const states = { d1: ".wrangler/state", postgres: ".wrangler/state/postgres" }
const cloudflare = "https://api.cloudflare.com/client/v4"

export const help = `Copies everything between D1 and Postgres, workspace by workspace, and compares the two afterwards.

  npm run copy -- --from d1 --to postgres [--remote] [--overwrite]
  npm run copy -- --from postgres --to d1 [--remote] [--overwrite]

Postgres is what DATABASE_URL names; without it, the server that npm run dev:postgres keeps, which must not be running.
D1 is what npm run dev keeps; with --remote it is the deployed one, through Cloudflare's API, as
CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN (which may edit D1) allow.

  --from, --to           d1 or postgres, one of each
  --remote               D1 is the deployed one
  --database-id ID       The id of D1, when it is not the one in wrangler.toml
  --d1-state PATH        Where the local D1 is kept, ${states.d1} when omitted
  --postgres-state PATH  Where the local Postgres is kept, ${states.postgres} when omitted
  --overwrite            Replaces all that the target holds, and removes what the source does not have

Nothing may write to either of them meanwhile: a deployment with READ_ONLY=true does not. Stop it with Ctrl-C and run
it again whenever you like: a workspace that is there as it is in the source is not copied twice. It refuses a target
that has users or workspaces of its own, or newer changes than the source, before it writes anything. Sessions and rate
limits are in neither database.

Exit status: 0 both hold the same, 1 something is wrong, 2 wrong arguments or settings, 130 stopped.`

/** Null when only the help was asked for. */
export async function readArguments(args: string[]): Promise<Options | null> {
  const values = parse(args)
  if (values.help) return null
  const { from, to } = values
  const places = { d1: d1Of, postgres: postgresOf }
  if (!isKind(from) || !isKind(to) || from === to) throw usage("--from and --to take d1 and postgres, one of each")
  return { from: await places[from](values), to: await places[to](values), isOverwrite: values.overwrite ?? false }
}

type Kind = "d1" | "postgres"
const isKind = (value: unknown): value is Kind => value === "d1" || value === "postgres"

const usage = (problem: string) => new BadArguments(`${problem}\n\n${help}`)

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        from: { type: "string" },
        to: { type: "string" },
        remote: { type: "boolean" },
        "database-id": { type: "string" },
        "d1-state": { type: "string" },
        "postgres-state": { type: "string" },
        overwrite: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values
  } catch (error) {
    throw error instanceof TypeError ? usage(error.message) : error
  }
}

type Values = ReturnType<typeof parse>

// npm runs this in the package's directory; a path is meant from where npm was called.
const fromCaller = (path: string) => resolve(process.env["INIT_CWD"] ?? ".", path)

async function d1Of({ remote, "database-id": givenId, "d1-state": state }: Values): Promise<PlaceSettings> {
  if (!remote) {
    const databaseId = givenId ?? (await configuredId())
    return { kind: "localD1", state: state ? fromCaller(state) : join(root, states.d1), databaseId }
  }
  if (state !== undefined) throw usage("--d1-state is for the local D1, not for --remote")
  const accountId = setting("CLOUDFLARE_ACCOUNT_ID", "the account that the database belongs to")
  const token = setting("CLOUDFLARE_API_TOKEN", "a token that may edit D1")
  const databaseId = givenId ?? (await configuredId())
  // What wrangler.toml holds until a database has been created.
  if (/^[0-]*1?$/.test(databaseId)) {
    throw new BadArguments("Set database_id in wrangler.toml, or give --database-id: npx wrangler d1 list shows it")
  }
  const baseUrl = (process.env["CLOUDFLARE_API_BASE_URL"] ?? cloudflare).replace(/\/+$/, "")
  return { kind: "remoteD1", baseUrl, token, accountId, databaseId }
}

function setting(name: string, what: string): string {
  const value = process.env[name]
  if (!value) throw new BadArguments(`Set ${name}: ${what}`)
  return value
}

async function configuredId(): Promise<string> {
  // Loading it takes two seconds, which wrong arguments need not wait for.
  const { unstable_readConfig: readConfig } = await import("wrangler")
  const { d1_databases: databases } = readConfig({ config: join(root, "wrangler.toml") }, { hideWarnings: true })
  return databases.find(({ binding }: { binding: string }) => binding === "DB")?.database_id ?? ""
}

function postgresOf({ "postgres-state": state }: Values): PlaceSettings {
  const url = process.env["DATABASE_URL"]
  if (!url) return { kind: "localPostgres", state: state ? fromCaller(state) : join(root, states.postgres) }
  if (state !== undefined) throw usage("--postgres-state is for the local Postgres, and DATABASE_URL names another")
  if (!/^postgres(?:ql)?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new BadArguments("DATABASE_URL takes postgres://user:password@host:5432/database")
  }
  return { kind: "postgres", url }
}
