import * as z from "zod"
import { roles } from "../lib/roles.ts"
import { Cursor, id, Limit, page, pathId, Revision, Time } from "./common.ts"

export const Role = z.enum(roles).meta({ id: "Role" })

export const Member = z
  .object({
    userId: id("user"),
    name: z.string(),
    avatarUrl: z.string(),
    role: Role,
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Member" })

export type MemberView = z.output<typeof Member>

export const MemberQuery = z.strictObject({ limit: Limit, cursor: Cursor.optional() })
export type MemberQueryInput = z.output<typeof MemberQuery>
export const MemberPage = page(Member)

export const MemberPath = z.object({ userId: pathId("user") })
export const MemberPatch = z.strictObject({ role: Role, revision: Revision.optional() })
export const NewOwner = z.strictObject({ userId: id("user") })
