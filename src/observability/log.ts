/** What one request tells, in one line. Only named fields exist, so a secret has no way in. */
export type AccessLine = {
  level: "info" | "warn" | "error"
  requestId: string
  method: string
  /** The pattern, such as /api/v1/tasks/:idOrKey: paths may hold what people typed. */
  route: string
  status: number
  durationMs: number
  userId?: string
  workspaceId?: string
  sessionId?: string
  apiKeyId?: string
  trips: number
  rowsRead: number
  rowsWritten: number
  dbMs: number
  cache?: string
  tier?: string
  problem?: string
  error?: string
  stack?: string
  replayed?: boolean
}

export type Log = (line: AccessLine) => void

/** Tells of work that was left for after an answer, and failed: nobody else will. */
export function logFailure(requestId: string, task: string, error: unknown): void {
  console.error(
    JSON.stringify({ at: new Date().toISOString(), level: "error", requestId, task, ...describeError(error) }),
  )
}

/** One line for each run of a job. */
export function logJob(run: { job: string; [field: string]: string | number }): void {
  const level = "error" in run ? "error" : "info"
  console.log(JSON.stringify({ at: new Date().toISOString(), level, ...run }))
}

/** Everything that went wrong or may have changed something is kept; of successful reads, a share. */
export function isKept(
  { method, status }: Pick<AccessLine, "method" | "status">,
  sampleRate: number,
  random = Math.random,
) {
  const isRead = method === "GET" || method === "HEAD" || method === "OPTIONS"
  return !isRead || status >= 400 || random() < sampleRate
}

export const consoleLog: Log = (line) => console.log(JSON.stringify({ at: new Date().toISOString(), ...line }))

/**
 * What may be logged of an error. Drizzle's and D1's messages can quote a statement with its values, so of a failed
 * query only the cause is told, and what looks like a token or an e-mail address is blanked.
 */
export function describeError(error: unknown): { error: string; stack?: string } {
  const chain: string[] = []
  for (let at: unknown = error; at instanceof Error && chain.length < 5; at = at.cause) {
    chain.push(at.message.startsWith("Failed query") ? at.name : `${at.name}: ${at.message}`)
  }
  const text = chain.join(" ← ") || "Something that is not an Error was thrown"
  // A stack begins with the message, and a line of that may look like a frame.
  const frames =
    error instanceof Error
      ? error.stack
          ?.replace(error.message, () => "")
          .split("\n")
          .filter((frame) => /^\s+at /.test(frame))
          .slice(0, 12)
      : []
  return { error: redact(text), ...(frames?.length && { stack: frames.join("\n") }) }
}

const redact = (text: string) =>
  text
    .replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, "[token]")
    .replaceAll(/ew[a-z]?_[\w.-]{20,}/g, "[token]")
    .replaceAll(/[^\s"'<>@]+@[^\s"'<>@]+\.\w+/g, "[e-mail]")
    .slice(0, 2_000)
