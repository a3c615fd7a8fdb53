import type { Role } from "../lib/access-token.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError } from "./errors.ts"

const everyone = ["owner", "admin", "member"] as const

/** Who may do what. A guest sees only projects that name them, which none can yet: so a guest may nothing here. */
export const permissions = {
  "event:read": everyone,
  "project:read": everyone,
  "project:manage": everyone,
  "task:read": everyone,
  "task:write": everyone,
  "task:close": everyone,
  "profile:write": ["owner", "admin", "member", "guest"],
} as const satisfies Record<string, readonly Role[]>

export type Permission = keyof typeof permissions

export const rolesThatMay = (permission: Permission): readonly Role[] => permissions[permission]

/** The first line of every verb. */
export function permit(ctx: Ctx, permission: Permission): void {
  if (!rolesThatMay(permission).includes(ctx.actor.role)) throw forbidden(permission)
}

export const forbidden = (permission: Permission) =>
  new DomainError("forbidden", `Your role does not include ${permission}`)
