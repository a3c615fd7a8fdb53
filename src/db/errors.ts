import { DeadlineExceeded } from "../lib/deadline.ts"

/** What went wrong in the database, in words that are the same for every dialect. */
export type DbFault =
  | { kind: "unique" | "not_null"; table: string; columns: string[] }
  | { kind: "foreign_key" }
  /** The database sheds load: retrying at once makes it worse. */
  | { kind: "overloaded" }
  /** The connection broke; whether the work was done is unknown. */
  | { kind: "lost" }
  /** No answer within the deadline; whether the work was done is unknown. */
  | { kind: "timeout" }
  | { kind: "unknown" }

export class DbError extends Error {
  override name = "DbError"
  readonly fault: DbFault

  constructor(fault: DbFault, cause: unknown) {
    super(`Database: ${fault.kind}`, { cause })
    this.fault = fault
  }
}

// Cloudflare's list of messages that are worth another try (D1, "Retry queries"). "Storage caused" matters: the
// timeout that also resets the object is load shedding and stands below.
const lost = [
  "Network connection lost",
  "storage caused object to be reset",
  "reset because its code was updated",
  "Cannot resolve D1 DB due to transient issue",
]
const overloaded = [
  "overloaded",
  "exceeded timeout which caused object to be reset",
  "exceeded its memory limit",
  "exceeded its CPU time limit",
]

export function classify(error: unknown): DbFault {
  if (error instanceof DbError) return error.fault
  if (error instanceof DeadlineExceeded) return { kind: "timeout" }
  const message = error instanceof Error ? error.message : String(error)
  const constraint = /(UNIQUE|NOT NULL) constraint failed: ([\w.]+(?:, [\w.]+)*)/.exec(message)
  if (constraint) {
    const paths = (constraint[2] ?? "").split(", ").map((path) => path.split("."))
    return {
      kind: constraint[1] === "UNIQUE" ? "unique" : "not_null",
      table: paths[0]?.[0] ?? "",
      columns: paths.map((path) => path[1] ?? ""),
    }
  }
  if (message.includes("FOREIGN KEY constraint failed")) return { kind: "foreign_key" }
  if (overloaded.some((text) => message.includes(text))) return { kind: "overloaded" }
  if (lost.some((text) => message.includes(text))) return { kind: "lost" }
  return { kind: "unknown" }
}

/** Whether the same work may be tried again: the connection, and not the work, was at fault. */
export const isTransient = ({ kind }: DbFault): boolean => kind === "lost" || kind === "timeout"
