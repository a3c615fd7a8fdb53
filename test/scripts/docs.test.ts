import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { expect, it } from "vitest"
import { permissions } from "../../src/domain/permissions.ts"
import { roles } from "../../src/lib/roles.ts"

it("docs/people.md tells the table of permissions as the code has it", async () => {
  const text = await readFile(join(import.meta.dirname, "../../docs/people.md"), "utf8")
  const rows = [...text.matchAll(/^\| `([\w:]+)` \|(.*)\|$/gm)].map(([, permission, cells = ""]) => [
    permission,
    ...cells.split("|").map((cell) => cell.trim()),
  ])
  const known = Object.entries(permissions).map(([permission, rule]) => [
    permission,
    ...roles.map((role) => ((rule.roles as readonly string[]).includes(role) ? "yes" : "")),
    rule.level ?? "",
  ])
  expect(rows).toEqual(known)
})
