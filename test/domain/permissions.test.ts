import { describe, expect, it } from "vitest"
import { allPermissions, levelFor, permissions, permit, rolesThatMay } from "../../src/domain/permissions.ts"
import { roles } from "../../src/lib/roles.ts"

const actor = (role: (typeof roles)[number]) => ({ actor: { userId: "usr_x", role, sessionId: "", apiKey: null } })

describe("the table of permissions", () => {
  for (const permission of allPermissions) {
    it(`lets those in whom it names, and nobody else: ${permission}`, () => {
      for (const role of roles) {
        const attempt = () => permit(actor(role), permission)
        if (rolesThatMay(permission).includes(role)) expect(attempt).not.toThrow()
        else expect(attempt).toThrow(expect.objectContaining({ code: "forbidden" }))
      }
    })
  }

  it("gives a role nothing that a higher one lacks", () => {
    for (const permission of allPermissions) {
      const allowed = roles.map((role) => rolesThatMay(permission).includes(role))
      expect(allowed.indexOf(false) === -1 || !allowed.slice(allowed.indexOf(false)).includes(true), permission).toBe(
        true,
      )
    }
  })

  it("takes a level in the project for whatever is done in one", () => {
    const inProjects = allPermissions.filter((permission) => levelFor(permission))
    expect(inProjects).toEqual([
      "project:read",
      "project:manage",
      "task:read",
      "task:write",
      "task:close",
      "comment:write",
    ])
    expect(permissions["task:close"].level).toBe("complete")
  })
})
