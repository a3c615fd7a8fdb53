import { Column, is, SQL, Subquery } from "drizzle-orm"
import type { PreparedQuery } from "drizzle-orm/session"

// What drizzle keeps to itself of a statement that it has built, and of what is selected.
type Built = PreparedQuery & { fields?: { path: string[]; field: unknown }[] | undefined }
type Decoder = { mapFromDriverValue(value: unknown): unknown }
type Decoded = { decoder: Decoder }

/**
 * The rows under the names of what was selected, as each column reads them: D1 gives objects, in the order of the
 * selection, and Postgres arrays. Drizzle's own way asks of every column of every row what kind of field it is.
 */
export function mapRows(statement: PreparedQuery, rows: readonly object[] = []): unknown {
  const { fields } = statement as Built
  if (!fields) return rows
  const columns = fields.map(({ path, field }) => ({ name: path.at(-1) ?? "", decoder: decoderOf(field) }))
  return rows.map((row) => {
    const values: unknown[] = Array.isArray(row) ? row : Object.values(row)
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
  const described: unknown = is(field, SQL) ? field : is(field, Subquery) ? field._.sql : (field as { sql: SQL }).sql
  return (described as Decoded).decoder
}
