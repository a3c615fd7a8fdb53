import type * as postgres from "./postgres.ts"
import type * as sqlite from "./sqlite.ts"

/** The tables as everybody knows them, whichever database is behind: typed after sqlite.ts. */
export type Tables = typeof sqlite
/** A row as it is read. */
export type Row<Name extends keyof Tables> = Tables[Name]["$inferSelect"]
export type NewRow<Name extends keyof Tables> = Tables[Name]["$inferInsert"]

type Rows<Schema, Way extends "$inferSelect" | "$inferInsert"> = {
  [Name in keyof Schema]: Schema[Name] extends Record<Way, infer Fields> ? Fields : never
}
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

// What makes it sound to take one for the other: every table is on both sides, and its rows have the same fields and
// types.
true satisfies Equal<Rows<typeof sqlite, "$inferSelect">, Rows<typeof postgres, "$inferSelect">>
true satisfies Equal<Rows<typeof sqlite, "$inferInsert">, Rows<typeof postgres, "$inferInsert">>
