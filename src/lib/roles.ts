/** What a member is to a workspace. */
export const roles = ["owner", "admin", "member", "guest"] as const
export type Role = (typeof roles)[number]

/** What somebody may do in a project, as it is stored: each level includes the ones before it. */
export const levels = { view: 1, comment: 2, complete: 3, edit: 4, manage: 5 } as const
export type Level = keyof typeof levels
export const levelNames = Object.keys(levels) as [Level, ...Level[]]
