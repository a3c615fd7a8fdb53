import * as z from "zod"
import { User } from "./auth.ts"
import { id, line, Revision } from "./common.ts"

// The runtime also takes offsets such as +01:00, which know no daylight saving.
const isTimeZone = (name: string) => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name })
    return !/^[+-]/.test(name)
  } catch {
    return false
  }
}

export const Me = z
  .object({ ...User.shape, workspace: z.object({ id: id("workspace"), role: z.string() }) })
  .meta({ id: "Me" })

export const MePatch = z.strictObject({
  name: line(100).optional(),
  timeZone: z
    .string()
    .max(64)
    .refine(isTimeZone, { error: "must be an IANA time zone, such as Europe/Berlin" })
    .optional(),
  revision: Revision.optional(),
})
