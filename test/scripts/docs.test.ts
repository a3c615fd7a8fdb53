import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { expect, it } from "vitest"
import { permissions } from "../../src/domain/permissions.ts"
import { roles } from "../../src/lib/roles.ts"
import { hour, minute } from "../../src/lib/time.ts"
import { type Policy, policies } from "../../src/limits/policies.ts"

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

it("docs/limits.md tells the limits as the code has them", async () => {
  const text = await readFile(join(import.meta.dirname, "../../docs/limits.md"), "utf8")
  const told = [
    ...text.matchAll(/^\| ((?:`[\w-]+`(?:, )?)+) \|[^|]*\| ([\d,]+(?: and [\d,]+)?) \| (.*) \|$/gm),
  ].flatMap(([, names = "", quotas = "", window]) =>
    names.split(", ").map((name, index) => ({
      name: name.replaceAll("`", ""),
      quota: Number(quotas.split(" and ")[index]?.replace(",", "")),
      window,
    })),
  )
  const words: Record<number, string> = { [5 * minute]: "5 minutes", [15 * minute]: "15 minutes", [hour]: "1 hour" }
  const known = new Map<string, Policy>(Object.values(policies).map((policy) => [policy.name, policy]))
  expect(told).toHaveLength(7)
  for (const { name, ...limit } of told) {
    const policy = known.get(name)
    expect(limit, name).toEqual({ quota: policy?.quota, window: words[policy?.windowMs ?? 0] })
  }
})
