import type { BatchItem, BatchResponse } from "drizzle-orm/batch"
import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core"

/** Builds statements. They run through `read`, `write` and `commit` of `Db`, and nowhere else, so every trip is counted. */
export type Sql = BaseSQLiteDatabase<"async", unknown, Record<string, never>>

export type Statement = BatchItem<"sqlite">
export type Statements = readonly [Statement, ...Statement[]]

/** Runs statements as one transaction: one round trip. */
export type Run = <const Batch extends Statements>(batch: Batch) => Promise<BatchResponse<Batch>>
