/** One batch on its way to the database. */
export type Batch = {
  /** The SQL of each statement. */
  sql: string[]
  statements: D1PreparedStatement[]
  run: () => Promise<D1Result[]>
}

/** The real database with something between it and the Worker: `meet` decides what becomes of each batch. */
export function between(db: D1Database, meet: (batch: Batch) => Promise<D1Result[]>): D1Database {
  const texts = new WeakMap<object, string>()
  const remember = (statement: D1PreparedStatement, text: string): D1PreparedStatement => {
    texts.set(statement, text)
    return new Proxy(statement, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => remember(target.bind(...values), text)
        if (name === "real") return target
        const value: unknown = Reflect.get(target, name)
        return typeof value === "function" ? value.bind(target) : value
      },
    })
  }
  const door = {
    prepare: (text: string) => remember(db.prepare(text), text),
    batch: (seals: (D1PreparedStatement & { real: D1PreparedStatement })[]) => {
      const statements = seals.map(({ real }) => real)
      const sql = statements.map((statement) => texts.get(statement) ?? "")
      return meet({ sql, statements, run: () => db.batch(statements) })
    },
  }
  return door as unknown as D1Database
}

export const isCommit = ({ sql }: Batch): boolean =>
  sql.some((text) => /^\s*insert into "?(events|receipts)"?/i.test(text))

/** Puts a statement that fails at run time in the place of the `index`-th of every commit. */
export const failingAt = (db: D1Database, index: number): D1Database =>
  between(db, (batch) => {
    if (!isCommit(batch)) return batch.run()
    const broken = batch.statements.map((statement, at) => (at === index ? db.prepare("select json('{')") : statement))
    return db.batch(broken)
  })

/** Loses the connection for the first `times` commits: before they are run, or after. */
export function losing(db: D1Database, when: "before" | "after", times: number): D1Database {
  let left = times
  return between(db, async (batch) => {
    if (!isCommit(batch) || left === 0) return batch.run()
    left -= 1
    if (when === "after") await batch.run()
    throw new Error("D1_ERROR: Network connection lost.")
  })
}

/** Every batch fails with this message. */
export const refusing = (db: D1Database, message: string): D1Database =>
  between(db, () => Promise.reject(new Error(message)))
