import { getTableColumns } from "drizzle-orm"
import { getTableConfig } from "drizzle-orm/sqlite-core"
import * as sqlite from "../../src/db/sqlite.ts"
import type { NewRow, Tables } from "../../src/db/tables.ts"
import { tenantTables } from "../../src/db/tenant-tables.ts"
import { newId } from "../../src/lib/ids.ts"
import { rowsOf } from "./database.ts"
import { insertAll } from "./seed.ts"

// Workspaces that have something in every table there is, made of the schema: a new table is among them by itself.

type Name = keyof Tables

export const configs = Object.entries(sqlite).map(([name, table]) => {
  const { name: tableName, columns, primaryKeys, foreignKeys } = getTableConfig(table)
  const fields = Object.entries(getTableColumns(table))
  return { name: name as Name, tableName, columns, primaryKeys, foreignKeys, fields }
})

/** Everything that has a workspace's id. */
export const ofWorkspaces = configs.filter(({ columns }) => columns.some(({ name }) => name === "workspace_id"))

const directory: Name[] = ["memberships", "invitees"]

type Ids = { workspaceId: string; userId: string }

/** One value for each kind of thing, so that whatever refers to another finds it. */
function sampleOf(
  ids: Ids,
  table: Name,
  column: { name: string; dataType: string; notNull: boolean; enumValues?: string[] | undefined },
) {
  const ofKind: Record<string, unknown> = {
    workspace_id: ids.workspaceId,
    user_id: ids.userId,
    actor_id: ids.userId,
    created_by: ids.userId,
    email: `${ids.userId}@example.com`,
    invitation_id: `${ids.workspaceId} invitations`,
    project_id: `${ids.workspaceId} projects`,
    task_id: `${ids.workspaceId} tasks`,
    other_id: `${ids.workspaceId} tasks`,
    label_id: `${ids.workspaceId} labels`,
    comment_id: `${ids.workspaceId} comments`,
    webhook_id: `${ids.workspaceId} webhooks`,
    id: `${ids.workspaceId} ${table}`,
    pumped_seq: 1,
  }
  if (column.name in ofKind) return ofKind[column.name]
  if (!column.notNull) return null
  if (column.dataType === "number") return 1
  if (column.dataType === "boolean") return false
  if (column.dataType === "json") return {}
  return column.enumValues?.[0] ?? "x"
}

const rowOf = (ids: Ids, { name, fields }: (typeof configs)[number]) =>
  Object.fromEntries(fields.map(([field, column]) => [field, sampleOf(ids, name, column)]))

/** A workspace that was deleted at that time, with a row in every table. Its id sorts after those of all others. */
export async function fillWorkspace(deletedAt: number | null, first = "wsp_7"): Promise<Ids> {
  const ids = { workspaceId: newId("workspace").replace("wsp_0", first), userId: newId("user") }
  // Parents first.
  const order = [...tenantTables.map(([name]) => name), ...directory].reverse()
  const rest = ofWorkspaces.map(({ name }) => name).filter((name) => !order.includes(name as never))
  for (const name of [...order, ...rest]) {
    const config = configs.find((each) => each.name === name)
    if (!config) throw new Error(`No table ${name}`)
    const row = { ...rowOf(ids, config), ...(name === "profiles" && { deletedAt }) }
    await insertAll(name, [row as unknown as NewRow<typeof name>] as never)
  }
  const { workspaceId: id, userId: createdBy } = ids
  await insertAll("workspaces", [{ id, name: "Full", inboxId: "x", createdBy, createdAt: 1, deletedAt }])
  return ids
}

/** How many rows a workspace has in each table, the directory among them; tables without any are left out. */
export async function rowsLeft(workspaceId: string): Promise<Record<string, number>> {
  const left: Record<string, number> = {}
  for (const { name, tableName } of configs) {
    const column = name === "workspaces" ? "id" : "workspace_id"
    if (name !== "workspaces" && !ofWorkspaces.some((each) => each.name === name)) continue
    const [row] = await rowsOf<{ n: number | string }>(
      `select count(*) as n from ${tableName} where ${column} = ?`,
      workspaceId,
    )
    if (Number(row?.n) > 0) left[name] = Number(row?.n)
  }
  return left
}
