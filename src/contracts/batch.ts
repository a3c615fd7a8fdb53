import * as z from "zod"
import { Problem } from "./common.ts"

/** What a command can do: the writes of the API that stand for themselves, and whether each takes a body. */
export const commandRoutes = {
  "POST /projects": true,
  "PATCH /projects/:projectId": true,
  "DELETE /projects/:projectId": false,
  "PUT /projects/:projectId/favourite": false,
  "DELETE /projects/:projectId/favourite": false,
  "POST /tasks": true,
  "PATCH /tasks/:idOrKey": true,
  "DELETE /tasks/:idOrKey": false,
  "PUT /tasks/:idOrKey/closure": false,
  "DELETE /tasks/:idOrKey/closure": false,
  "PUT /tasks/:idOrKey/project": true,
  "PUT /tasks/:idOrKey/position": true,
  "PUT /tasks/:idOrKey/follower": false,
  "DELETE /tasks/:idOrKey/follower": false,
  "PUT /tasks/:idOrKey/relations/:kind/:otherIdOrKey": false,
  "DELETE /tasks/:idOrKey/relations/:kind/:otherIdOrKey": false,
  "POST /tasks/:idOrKey/comments": true,
  "PATCH /comments/:commentId": true,
  "DELETE /comments/:commentId": false,
  "PUT /comments/:commentId/reactions/:emoji": false,
  "DELETE /comments/:commentId/reactions/:emoji": false,
  "POST /labels": true,
  "PATCH /labels/:labelId": true,
  "DELETE /labels/:labelId": false,
  "PUT /labels/:labelId/merger": true,
} as const satisfies Record<string, boolean>

const patterns = Object.entries(commandRoutes).map(([route, takesBody]) => ({
  pattern: new RegExp(`^${route.replaceAll(/:\w+/g, "[^/]+")}$`),
  takesBody,
}))

// The characters of RFC 3986 for a segment: nothing that a URL would be read differently with.
const segments = /^(?:\/(?!\.{1,2}(?:\/|$))(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+$/

const Key = z
  .string()
  .regex(/^[!#-~]{1,255}$/, { error: "must have 1 to 255 printable ASCII characters, without spaces and quotes" })

/** As it is sent on; null for what is nested more deeply than anything that is kept. */
function textOf(body: unknown): string | undefined | null {
  try {
    return JSON.stringify(body)
  } catch {
    return null
  }
}

const Body = z
  .unknown()
  .transform((body, context) => {
    const text = textOf(body)
    if (text === null) context.addIssue({ code: "custom", message: "is nested too deeply" })
    return text ?? undefined
  })
  .optional()
  .meta({ description: "As the route takes it" })

const Command = z
  .strictObject({
    key: Key.meta({ description: "The Idempotency-Key of this command: a repeat gets its first answer" }),
    method: z.enum(["POST", "PUT", "PATCH", "DELETE"]),
    path: z
      .string()
      .max(1_000)
      .regex(segments, { error: "must be a path such as /tasks/WEB-42, without a query" })
      .meta({ description: `Below /api/v1. One of: ${Object.keys(commandRoutes).join(", ")}` }),
    body: Body,
    ifMatch: z
      .string()
      .max(1_000)
      .regex(/^[\x20-\x7e]*$/, { error: "must be printable ASCII" })
      .optional()
      .meta({ description: "As in the header If-Match" }),
    after: z
      .array(Key)
      .max(100)
      .default([])
      .meta({ description: "Keys of earlier commands: when one of them fails, this one is skipped" }),
  })
  .superRefine(({ method, path, body }, { addIssue }) => {
    const route = patterns.find(({ pattern }) => pattern.test(`${method} ${path}`))
    if (!route) addIssue({ code: "custom", path: ["path"], message: `${method} is not a command here` })
    if (route?.takesBody === false && body !== undefined) {
      addIssue({ code: "custom", path: ["body"], message: "is not taken by this route" })
    }
  })
  .transform(({ body, ...command }) => {
    const route = patterns.find(({ pattern }) => pattern.test(`${command.method} ${command.path}`))
    return { ...command, body: route?.takesBody ? (body ?? "{}") : undefined }
  })

export type CommandInput = z.output<typeof Command>

/** Refuses a key that is there twice, and one to wait for that is not the key of an earlier command. */
function refuseUnordered({ value, issues }: z.core.ParsePayload<CommandInput[]>): void {
  const keys = new Set<string>()
  for (const [index, { key, after }] of value.entries()) {
    if (keys.has(key)) issues.push({ code: "custom", input: key, path: [index, "key"], message: "is there twice" })
    for (const [at, other] of after.entries()) {
      const message = "is not the key of an earlier command"
      if (!keys.has(other)) issues.push({ code: "custom", input: other, path: [index, "after", at], message })
    }
    keys.add(key)
  }
}

export const Batch = z.strictObject({ commands: z.array(Command).min(1).max(100).check(refuseUnordered) })

export const CommandResult = z
  .object({
    key: z.string(),
    status: z.int().meta({ description: "As the route answers; 424 for a command that was skipped" }),
    replayed: z.boolean().meta({ description: "Whether it had been done before" }),
    etag: z.string().optional(),
    body: z.unknown().optional(),
    problem: Problem.optional(),
  })
  .meta({ id: "CommandResult" })

export type CommandResultView = z.output<typeof CommandResult>

export const BatchResults = z.object({ results: z.array(CommandResult) })
