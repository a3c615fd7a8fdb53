import { Column, is, SQL, Subquery } from "drizzle-orm"
import type { PreparedQuery } from "drizzle-orm/session"

// What drizzle keeps to itself of a statement that it has built.
type Field = { path: string[]; field: unknown }
type Built = PreparedQuery & { fields?: Field[]; customResultMapper?: unknown }
type Decoder = { mapFromDriverValue(value: unknown): unknown }

/**
 * The rows under the names of what was selected, as each column reads them. Drizzle's own way does the same, but asks of
 * every column of every row what kind of field it is; that is left to what selects by table.
 */
export function mapRows(statement: PreparedQuery, rows: readonly object[] | undefined): unknown {
  const { fields, customResultMapper } = statement as Built
  const isFlat = fields?.every(({ path }) => path.length === 1)
  if (!fields || !rows || !isFlat || customResultMapper || rows.some(Array.isArray)) {
    return statement.mapResult({ results: rows }, true)
  }
  const columns = fields.map(({ path: [name = ""], field }) => ({ name, decoder: decoderOf(field) }))
  return rows.map((row) => {
    const values: unknown[] = Object.values(row)
    const mapped: Record<string, unknown> = {}
    for (const [index, { name, decoder }] of columns.entries()) {
      const value = values[index]
      mapped[name] = value === null ? null : decoder.mapFromDriverValue(value)
    }
    return mapped
  })
}

function decoderOf(field: unknown): Decoder {
  if (is(field, Column)) return field
  if (is(field, SQL)) return (field as unknown as { decoder: Decoder }).decoder
  if (is(field, Subquery)) return (field._.sql as unknown as { decoder: Decoder }).decoder
  return (field as { sql: { decoder: Decoder } }).sql.decoder
}
