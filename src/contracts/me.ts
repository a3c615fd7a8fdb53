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

/** The canonical form of a BCP 47 tag; null for what is none. */
const canonicalLocale = (tag: string): string | null => {
  try {
    return new Intl.Locale(tag).toString()
  } catch {
    return null
  }
}

export const weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const
export const themes = ["system", "light", "dark"] as const

/** What the user is told of, and how. */
export const notificationKinds = ["assigned", "mentioned", "commented", "due", "closed", "created"] as const
export const notificationChannels = ["inbox", "email"] as const
/** When mail goes out: as it happens, gathered at the full hour, or at 08:00 in the user's zone. */
export const mailRhythms = ["at_once", "hourly", "daily"] as const
export type NotificationKind = (typeof notificationKinds)[number]
export type NotificationChannel = (typeof notificationChannels)[number]

const keyed = <Key extends string, Value>(keys: readonly Key[], value: Value) =>
  Object.fromEntries(keys.map((key) => [key, value])) as Record<Key, Value>

export const Me = z
  .object({
    ...User.shape,
    avatarUrl: z.string().meta({ description: "A path of this server. Needs no token" }),
    locale: z.string().meta({ description: "BCP 47, in canonical form" }),
    weekStart: z.enum(weekdays),
    theme: z.enum(themes),
    defaultProjectId: id("project")
      .nullable()
      .meta({ description: "In the active workspace. Stays when the project is deleted or hidden from the user" }),
    notifications: z.object(keyed(notificationKinds, z.object(keyed(notificationChannels, z.boolean())))),
    mail: z.enum(mailRhythms).meta({
      description: "When notifications are mailed: as it happens, at the full hour, or at 08:00 in the time zone",
    }),
    workspace: z.object({ id: id("workspace"), role: z.string() }),
  })
  .meta({ id: "Me" })

export type MeView = z.output<typeof Me>

const locale = z
  .string()
  .max(64)
  .refine((tag) => canonicalLocale(tag) !== null, {
    error: "must be a BCP 47 language tag, such as de-CH",
    abort: true,
  })
  .transform((tag) => canonicalLocale(tag) ?? tag)

const optional = <Value extends z.ZodType>(value: Value) => value.nullable().optional()
const ofChannels = z.strictObject(keyed(notificationChannels, optional(z.boolean())))

export const MePatch = z.strictObject({
  name: line(100).optional(),
  timeZone: z
    .string()
    .max(64)
    .refine(isTimeZone, { error: "must be an IANA time zone, such as Europe/Berlin" })
    .optional(),
  locale: optional(locale),
  weekStart: optional(z.enum(weekdays)),
  theme: optional(z.enum(themes)),
  defaultProjectId: optional(id("project")),
  notifications: optional(z.strictObject(keyed(notificationKinds, optional(ofChannels)))),
  mail: optional(z.enum(mailRhythms)),
  revision: Revision.optional(),
})

export type MePatchInput = z.output<typeof MePatch>

export const AvatarPath = z.object({ file: z.string().meta({ description: "`AL-7.svg`: initials and a colour" }) })
