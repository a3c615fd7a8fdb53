import { describe, expect, it } from "vitest"
import { CommitRefused, refusalOf } from "../../src/db/commit.ts"
import type { Db } from "../../src/db/db.ts"
import { ConnectionLost, classify, DbError, isTransient, isTrouble } from "../../src/db/errors.ts"
import { insertRows } from "../../src/db/rows.ts"
import type { Statement } from "../../src/db/sql.ts"
import type { NewRow } from "../../src/db/tables.ts"
import { openApp } from "../support/app.ts"
import { type Caller, newCaller, newTask, problemIn } from "../support/caller.ts"
import { withDb } from "../support/database.ts"
import { between, refusing } from "../support/faults.ts"

// The same wrong statements on both databases, and the same answers.

let n = 0

const event = ({ workspaceId, userId }: Caller, fields: Partial<NewRow<"events">>): NewRow<"events"> => {
  n += 1
  return {
    workspaceId,
    seq: 1_000 + n,
    type: "task.updated",
    subjectId: `tsk_${n}`,
    subjectKey: null,
    actorRole: "owner",
    revision: 1,
    actorId: userId,
    source: "api",
    projectId: null,
    previousProjectId: null,
    commitId: "cmt",
    data: { before: null, after: {} },
    at: 0,
    ...fields,
  }
}

const nothing = null as unknown as never

/** What the write is refused with. */
const faultOf = (build: (db: Db) => [Statement, ...Statement[]]) =>
  withDb(async (db) => {
    const error = await db.write(...build(db)).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof DbError)) throw new Error(`Not refused as it should be: ${String(error)}`)
    return { fault: error.fault, refusal: refusalOf(error)?.refusal }
  })

describe("a constraint that breaks", () => {
  it("is told with its table and columns: unique, not null, foreign key", async () => {
    const ada = await newCaller()
    const [taken] = [event(ada, { subjectId: "tsk_taken" })]
    await withDb((db) => db.write(insertRows(db, db.tables.events, [taken])))
    const insert =
      (...rows: NewRow<"events">[]) =>
      (db: Db): [Statement] => [insertRows(db, db.tables.events, rows)]

    expect(await faultOf(insert(event(ada, { seq: taken.seq })))).toEqual({
      fault: { kind: "unique", table: "events", columns: ["workspace_id", "seq"] },
      refusal: { reason: "unique", table: "events" },
    })
    expect(await faultOf(insert(event(ada, { subjectId: "tsk_taken" })))).toEqual({
      fault: { kind: "unique", table: "events", columns: ["workspace_id", "subject_id", "revision"] },
      refusal: { reason: "revision" },
    })
    expect(await faultOf(insert(event(ada, { actorRole: nothing })))).toEqual({
      fault: { kind: "not_null", table: "events", columns: ["actor_role"] },
      refusal: { reason: "role" },
    })
    expect(await faultOf(insert(event(ada, { revision: nothing })))).toEqual({
      fault: { kind: "not_null", table: "events", columns: ["revision"] },
      refusal: { reason: "row" },
    })
    const orphan = { workspaceId: ada.workspaceId, taskId: "tsk_nowhere", userId: ada.userId, dueSort: 0 }
    expect(await faultOf((db) => [db.sql.insert(db.tables.taskAssignees).values(orphan)])).toEqual({
      fault: { kind: "foreign_key" },
      refusal: { reason: "foreign_key" },
    })
    const user = { id: ada.userId, email: "x", name: "x", timeZone: "UTC", revision: 1, createdAt: 0, updatedAt: 0 }
    expect((await faultOf((db) => [db.sql.insert(db.tables.users).values(user)])).fault).toEqual({
      kind: "unique",
      table: "users",
      columns: ["id"],
    })
  })

  it("leaves nothing of the statements before it", async () => {
    const ada = await newCaller()
    const fine = event(ada, { subjectId: "tsk_fine" })
    await faultOf((db) => [
      insertRows(db, db.tables.events, [fine]),
      insertRows(db, db.tables.events, [event(ada, { actorRole: nothing })]),
    ])
    await withDb(async (db) => {
      const { events } = db.tables
      const [rows] = await db.read(
        db.sql
          .select()
          .from(events)
          .where(db.oneOf(events.subjectId, ["tsk_fine"])),
      )
      expect(rows).toEqual([])
    })
  })
})

describe("several constraints that break at once", () => {
  const insert = (ada: Caller, ...rows: Partial<NewRow<"events">>[]) =>
    faultOf((db) => [
      insertRows(
        db,
        db.tables.events,
        rows.map((fields) => event(ada, fields)),
      ),
    ])

  it("of one row: the first column that must not be null, before any key", async () => {
    const ada = await newCaller()
    const columns = ["not_null", "events", "actor_role"]
    const told = async (fields: Partial<NewRow<"events">>) => {
      const { fault } = await insert(ada, fields)
      return "table" in fault ? [fault.kind, fault.table, ...fault.columns] : [fault.kind]
    }
    expect(await told({ actorRole: nothing, revision: nothing, actorId: nothing })).toEqual(columns)
    expect(await told({ actorRole: nothing, seq: 1 })).toEqual(columns)
    expect(await told({ revision: nothing, source: nothing, seq: 1 })).toEqual(["not_null", "events", "revision"])
  })

  it("of several rows: what the first of them breaks", async () => {
    const ada = await newCaller()
    expect((await insert(ada, { seq: 1 }, { actorRole: nothing })).fault.kind).toBe("unique")
    expect((await insert(ada, { actorRole: nothing }, { seq: 1 })).fault.kind).toBe("not_null")
    expect((await insert(ada, {}, { revision: nothing }, { actorRole: nothing })).refusal).toEqual({ reason: "row" })
  })

  it("of several keys: one refusal, whichever key was looked at first", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    const { fault, refusal } = await faultOf((db) => {
      const { tasks } = db.tables
      const row = { workspaceId: ada.workspaceId, id: task.id, key: task.key, projectId: task.projectId, title: "" }
      const rest = { description: "", status: "todo", priority: 0, dueSort: 0, position: "a0", revision: 1 } as const
      return [db.sql.insert(tasks).values({ ...row, ...rest, createdBy: "x", createdAt: 0, updatedAt: 0 })]
    })
    expect(fault).toMatchObject({ kind: "unique", table: "tasks" })
    expect(refusal).toEqual({ reason: "unique", table: "tasks" })
  })

  it("of a key and a foreign key: the key", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    const { fault } = await faultOf((db) => {
      const row = { workspaceId: ada.workspaceId, id: task.id, key: "NEW-1", projectId: "prj_nowhere", title: "" }
      const rest = { description: "", status: "todo", priority: 0, dueSort: 0, position: "a0", revision: 1 } as const
      return [db.sql.insert(db.tables.tasks).values({ ...row, ...rest, createdBy: "x", createdAt: 0, updatedAt: 0 })]
    })
    expect(fault.kind).toBe("unique")
  })

  it("of several statements: what the first of them breaks", async () => {
    const ada = await newCaller()
    const broken = { unique: { seq: 1 }, not_null: { actorRole: nothing } }
    for (const [first, second] of [
      ["unique", "not_null"],
      ["not_null", "unique"],
    ] as const) {
      const { fault } = await faultOf((db) => [
        insertRows(db, db.tables.events, [event(ada, broken[first])]),
        insertRows(db, db.tables.events, [event(ada, broken[second])]),
      ])
      expect(fault.kind).toBe(first)
    }
  })
})

describe("the one table of troubles", () => {
  const withCode = (code: string, message = "in any language") => Object.assign(new Error(message), { code })
  const table: [string, unknown, string][] = [
    ["D1, connection", new Error("D1_ERROR: Network connection lost."), "lost"],
    ["D1, reset", new Error("D1_ERROR: D1 DB storage caused object to be reset."), "lost"],
    ["D1, deployed anew", new Error("D1_ERROR: D1 DB reset because its code was updated."), "lost"],
    ["D1, queue", new Error("D1_ERROR: D1 DB is overloaded. Requests queued for too long."), "overloaded"],
    [
      "D1, shed",
      new Error("D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset."),
      "overloaded",
    ],
    ["Postgres, connection failure", withCode("08006"), "lost"],
    ["Postgres, shut down by its operator", withCode("57P01"), "lost"],
    ["Postgres, crashed", withCode("57P02"), "lost"],
    ["Postgres, starting", withCode("57P03"), "lost"],
    ["Postgres, disk", withCode("58030"), "lost"],
    ["Postgres, too many connections", withCode("53300"), "overloaded"],
    ["Postgres, out of memory", withCode("53200"), "overloaded"],
    ["Postgres, statement timeout", withCode("57014"), "timeout"],
    ["Postgres, lock timeout", withCode("55P03"), "timeout"],
    ["Postgres, serialization", withCode("40001"), "serialization"],
    ["Postgres, deadlock", withCode("40P01"), "serialization"],
    ["Postgres, wrong password", withCode("28P01"), "lost"],
    ["Postgres, no such database", withCode("3D000"), "lost"],
    ["driver, whatever it says of the connection", new ConnectionLost(new Error("connection attempt failed")), "lost"],
    ["Hyperdrive, full", withCode("58000", "Timed out while waiting for an open slot in the pool."), "overloaded"],
    ["Postgres, a replica by now", withCode("25006"), "lost"],
    ["Postgres, idle in a transaction", withCode("25P03"), "lost"],
    ["Postgres, transaction timeout", withCode("25P04"), "timeout"],
    ["a mistake of ours", withCode("42601", "syntax error"), "unknown"],
    ["a value of the wrong type", withCode("22P02"), "unknown"],
    ["not even an error", "lost", "unknown"],
  ]
  for (const [name, error, kind] of table) {
    it(`${name}: ${kind}`, () => expect(classify(error).kind).toBe(kind))
  }

  it("tries again what was not the work's fault, and tells 503 for all of it", async () => {
    for (const kind of ["lost", "timeout", "serialization"] as const) expect(isTransient({ kind })).toBe(true)
    expect(isTransient({ kind: "overloaded" })).toBe(false)
    for (const kind of ["lost", "timeout", "serialization", "overloaded"] as const) {
      expect(isTrouble({ kind })).toBe(true)
    }
    expect(isTrouble({ kind: "unknown" })).toBe(false)
    const ada = await newCaller()
    const clashing = between(() => Promise.reject(withCode("40001")))
    for (const database of [clashing, refusing("D1_ERROR: Network connection lost.")]) {
      const answer = await ada.through(await openApp({ database })).get("/api/v1/tasks")
      expect((await problemIn(answer, 503)).code).toBe("unavailable")
      expect(answer.headers.get("retry-after")).toBe("2")
    }
  })

  it("tells a refusal from everything else", () => {
    expect(refusalOf(withCode("40001"))).toBe(null)
    expect(refusalOf(withCode("23503"))).toBeInstanceOf(CommitRefused)
  })
})
