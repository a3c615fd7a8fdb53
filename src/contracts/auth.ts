import * as z from "zod"
import { id, line, Revision, Time, text } from "./common.ts"

export const Email = z
  .string()
  .trim()
  .toLowerCase()
  .pipe(z.email({ error: "must be an e-mail address" }).max(254))

// A new password is also looked up in the list of common ones, by the verb.
export const Registration = z.strictObject({ email: Email, password: text(8, 256), name: line(100) })

/** What is sent at sign-in is compared, not judged: only its size is bounded. */
export const Credentials = z.strictObject({ email: Email, password: z.string().max(1_024) })

export const RefreshRequest = z.strictObject({ refreshToken: z.string().max(512) })
export const LogoutRequest = z.strictObject({ refreshToken: z.string().max(512).optional() })

export const User = z
  .object({
    id: id("user"),
    email: z.string(),
    emailVerified: z.boolean().meta({ description: "Whether the user has proved that they read mail there" }),
    name: z.string(),
    timeZone: z.string().meta({ description: "IANA time zone" }),
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "User" })

export type UserView = z.output<typeof User>

export const Workspace = z
  .object({ id: id("workspace"), name: z.string(), inboxId: id("project") })
  .meta({ id: "Workspace" })

export type WorkspaceView = z.output<typeof Workspace>

const tokens = {
  accessToken: z.string().meta({ description: "A JWT for `Authorization: Bearer`" }),
  refreshToken: z.string().meta({ description: "For one refresh, which gives the next one" }),
  expiresIn: z.int().meta({ description: "Seconds that the access token lives" }),
}

export const Tokens = z.object(tokens).meta({ id: "Tokens" })
export type TokensView = z.output<typeof Tokens>
export const SignedIn = z.object({ user: User, workspace: Workspace, ...tokens }).meta({ id: "SignedIn" })
export type SignedInView = z.output<typeof SignedIn>

export const Session = z
  .object({
    id: id("session"),
    current: z.boolean().meta({ description: "Whether this request belongs to it" }),
    userAgent: z.string(),
    address: z.string().meta({ description: "The IP address that signed in" }),
    createdAt: Time,
    lastUsedAt: Time,
    expiresAt: Time,
  })
  .meta({ id: "Session" })

export const SessionList = z.object({ data: z.array(Session) })
export const SessionPath = z.object({ sessionId: z.string().meta({ description: "Id of a session" }) })
