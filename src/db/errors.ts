import { DeadlineExceeded } from "../lib/deadline.ts"

/** What went wrong in the database, in words that are the same for every dialect. */
export type DbFault =
  | { kind: "unique" | "not_null"; table: string; columns: string[] }
  | { kind: "foreign_key" }
  | { kind: TroubleKind }
  | { kind: "unknown" }

type TroubleKind =
  /** The database sheds load: retrying at once makes it worse. */
  | "overloaded"
  /** The connection broke; whether the work was done is unknown. */
  | "lost"
  /** No answer within the deadline; whether the work was done is unknown. */
  | "timeout"
  /** Others were at work on the same rows: all was undone, and may be done again. */
  | "serialization"

export class DbError extends Error {
  override name = "DbError"
  readonly fault: DbFault

  constructor(fault: DbFault, cause: unknown) {
    super(`Database: ${fault.kind}`, { cause })
    this.fault = fault
  }
}

/** Thrown for whatever a driver says of its connection: the words differ by runtime and mean the same. */
export class ConnectionLost extends Error {
  override name = "ConnectionLost"

  constructor(cause: unknown) {
    super("The connection to the database is lost, or could not be made", { cause })
  }
}

/**
 * By what each database's trouble is known. D1 has only messages: Cloudflare's list of those worth another try (D1,
 * "Retry queries"; "storage caused" matters, because the timeout that also resets the object is load shedding).
 * Postgres has SQLSTATE codes, here by their beginning.
 */
const troubles: { kind: TroubleKind; messages: string[]; codes: string[] }[] = [
  {
    kind: "overloaded",
    messages: [
      "overloaded",
      "exceeded timeout which caused object to be reset",
      "exceeded its memory limit",
      "exceeded its CPU time limit",
      // Hyperdrive's own words for a full pool.
      "waiting for an open slot in the pool",
    ],
    // Insufficient resources (too many connections), configuration limits.
    codes: ["53"],
  },
  {
    kind: "lost",
    messages: [
      "Network connection lost",
      "storage caused object to be reset",
      "reset because its code was updated",
      "Cannot resolve D1 DB due to transient issue",
    ],
    // Connection exceptions, a primary that became a replica, idle for too long, nobody let in, no such database, shut
    // down or starting up, failures of the system below.
    codes: ["08", "25006", "25P03", "28", "3D", "57P", "58"],
  },
  { kind: "timeout", messages: [], codes: ["25P04", "57014", "55P03"] },
  { kind: "serialization", messages: [], codes: ["40"] },
]

export function classify(error: unknown): DbFault {
  if (error instanceof DbError) return error.fault
  if (error instanceof DeadlineExceeded) return { kind: "timeout" }
  if (error instanceof ConnectionLost) return { kind: "lost" }
  return constraintOf(error) ?? troubleOf(error) ?? { kind: "unknown" }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** SQLSTATE or the system's error code; empty where there is none. */
const codeOf = (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : "")

function troubleOf(error: unknown): DbFault | null {
  const message = messageOf(error)
  const code = codeOf(error)
  // The message first: a full pool of Hyperdrive has the code of a failing system.
  const byMessage = troubles.find(({ messages }) => messages.some((text) => message.includes(text)))
  const trouble = byMessage ?? troubles.find(({ codes }) => code && codes.some((known) => code.startsWith(known)))
  return trouble ? { kind: trouble.kind } : null
}

const constraintOf = (error: unknown): DbFault | null => postgresConstraintOf(error) ?? sqliteConstraintOf(error)

/** By SQLSTATE; the engine has put the columns of a broken key on the error. */
function postgresConstraintOf(error: unknown): DbFault | null {
  const { table = "", column = "", columns = [] } = error as { table?: string; column?: string; columns?: string[] }
  switch (codeOf(error)) {
    case "23505":
      return { kind: "unique", table, columns }
    case "23502":
      return { kind: "not_null", table, columns: [column] }
    case "23503":
      return { kind: "foreign_key" }
    default:
      return null
  }
}

function sqliteConstraintOf(error: unknown): DbFault | null {
  const message = messageOf(error)
  if (message.includes("FOREIGN KEY constraint failed")) return { kind: "foreign_key" }
  const found = /(UNIQUE|NOT NULL) constraint failed: ([\w.]+(?:, [\w.]+)*)/.exec(message)
  if (!found) return null
  const paths = (found[2] ?? "").split(", ").map((path) => path.split("."))
  const columns = paths.map((path) => path[1] ?? "")
  return { kind: found[1] === "UNIQUE" ? "unique" : "not_null", table: paths[0]?.[0] ?? "", columns }
}

/** Whether the database, and not what was asked of it, was at fault. */
export const isTrouble = ({ kind }: DbFault): boolean => troubles.some((trouble) => trouble.kind === kind)

/** Whether the same work may be tried again: the connection or the company, and not the work, was at fault. */
export const isTransient = ({ kind }: DbFault): boolean =>
  kind === "lost" || kind === "timeout" || kind === "serialization"
