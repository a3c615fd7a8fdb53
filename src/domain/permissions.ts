import type { Level, Role } from "../lib/roles.ts"
import type { Actor, Ctx } from "./ctx.ts"
import { DomainError } from "./errors.ts"

type Rule = { roles: readonly Role[]; level: Level | null }

const admins = ["owner", "admin"] as const
const members = ["owner", "admin", "member"] as const
const everybody = ["owner", "admin", "member", "guest"] as const

/** What whoever holds one of the roles may do. `level`: what it also takes in the project that it is done in. */
const may = (roles: readonly Role[], level: Level | null = null): Rule => ({ roles, level })

/** Who may do what. Projects are open or private, and a guest has only those that name them: access.ts says how. */
export const permissions = {
  "workspace:read": may(everybody),
  "workspace:manage": may(admins),
  "workspace:own": may(["owner"]),
  "member:read": may(members),
  "member:manage": may(admins),
  "event:read": may(everybody),
  "project:read": may(everybody, "view"),
  "project:create": may(members),
  "project:manage": may(members, "manage"),
  "task:read": may(everybody, "view"),
  "task:write": may(everybody, "edit"),
  "task:close": may(everybody, "complete"),
  "comment:write": may(everybody, "comment"),
  "label:read": may(everybody),
  "label:manage": may(members),
  "key:manage": may(members),
  "webhook:manage": may(admins),
  "profile:write": may(everybody),
} as const satisfies Record<string, Rule>

export type Permission = keyof typeof permissions
export const allPermissions = Object.keys(permissions) as [Permission, ...Permission[]]

export const rolesThatMay = (permission: Permission): readonly Role[] => permissions[permission].roles

/** The level in a project that a permission takes; null for what is done in no project. */
export const levelFor = (permission: Permission): Level | null => permissions[permission].level

/** Whether `permit` would let it pass. */
export const isPermitted = ({ role, apiKey }: Actor, permission: Permission): boolean =>
  rolesThatMay(permission).includes(role) && (apiKey?.scopes.includes(permission) ?? true)

/** The first line of every verb. Throws `forbidden`. */
export function permit({ actor: { role, apiKey } }: Pick<Ctx, "actor">, permission: Permission): void {
  if (!rolesThatMay(permission).includes(role)) throw forbidden(permission)
  if (apiKey && !apiKey.scopes.includes(permission)) {
    throw new DomainError("forbidden", `This API key may not do this: it lacks the scope ${permission}`)
  }
}

/** For what reaches beyond a workspace, or hands out credentials: no key does it, whatever its scopes. */
export function permitSession({ apiKey }: Actor): void {
  if (apiKey) throw new DomainError("forbidden", "Sign in for this")
}

export const forbidden = (permission: Permission) =>
  new DomainError("forbidden", `You may not do this here: it takes ${permission}`)
