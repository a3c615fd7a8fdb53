import { type Db, databaseOf, openDb } from "../db/db.ts"
import type { Database } from "../db/engine.ts"
import { type Bindings, parseSettings } from "../env.ts"

/** An object's way to the deployment's database. */
export class HubDatabase {
  readonly #env: () => Bindings
  #opened: { database: Database; isReadOnly: boolean } | undefined

  constructor(env: () => Bindings) {
    this.#env = env
  }

  /** Runs one piece of work on a connection of its own: to the primary, which has whatever was told. */
  async run<T>(work: (db: Db) => Promise<T>): Promise<T> {
    const env = this.#env()
    this.#opened ??= { database: await databaseOf(env), isReadOnly: parseSettings(env).READ_ONLY }
    const { database, isReadOnly } = this.#opened
    const db = openDb(database.connect(), { isReadOnly })
    try {
      return await work(db)
    } finally {
      await db.close()
    }
  }
}
