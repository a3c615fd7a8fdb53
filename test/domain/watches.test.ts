import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { LogEntry } from "../../src/db/commit.ts"
import {
  earliest,
  judge,
  latest,
  type Moment,
  plannedFor,
  type Standing,
  type Watch,
} from "../../src/domain/watches.ts"
import { givenBy } from "../../src/domain/watching.ts"
import { day, hour, minute } from "../../src/lib/time.ts"

const noon = Date.parse("2026-06-15T12:00:00Z")

const standing = (part: Partial<Standing> = {}): Standing => ({
  dueAt: noon,
  dueDate: null,
  isOpen: true,
  isAssigned: true,
  isMuted: false,
  reminders: new Map(),
  ...part,
})

type Judged = Watch & { since: number }
const due: Judged = { reminderId: null, at: noon, date: null, beforeMs: 0, since: 0 }
const onDay: Judged = { ...due, at: null, date: "2026-06-15" }
const reminder = (part: Partial<Judged>): Judged => ({ ...due, reminderId: "rem", ...part })

describe("a watch", () => {
  it("is early until its time, and then it is time, however late", () => {
    fc.assert(
      fc.property(fc.integer({ min: -day, max: 400 * day }), (later) => {
        const verdict = judge(due, standing(), "UTC", noon + later)
        expect(verdict).toEqual(later < 0 ? { is: "early", until: noon } : { is: "time", planned: noon })
      }),
      { examples: [[-1], [0]] },
    )
  })

  const gone: [string, Judged, Standing | undefined][] = [
    ["a task that is not there or not seen", due, undefined],
    ["a task that is closed", due, standing({ isOpen: false })],
    ["a task of others", due, standing({ isAssigned: false })],
    ["a task that is silenced", due, standing({ isMuted: true })],
    ["a task with another time", due, standing({ dueAt: noon + 1 })],
    ["a task with a day instead", due, standing({ dueAt: null, dueDate: "2026-06-15" })],
    ["a task that is not due any more", due, standing({ dueAt: null })],
    ["a reminder that was removed", reminder({}), standing()],
    ["what was over before it was watched", { ...due, since: noon + 1 }, standing()],
    [
      "a reminder of another time before",
      reminder({ beforeMs: hour }),
      standing({ reminders: new Map([["rem", { at: null, beforeMs: 2 * hour }]]) }),
    ],
  ]
  for (const [what, watch, now] of gone) {
    it(`is over for ${what}`, () => expect(judge(watch, now, "UTC", noon + day)).toEqual({ is: "over" }))
  }

  it("of a reminder holds for whoever set it, whether the task is theirs or silenced", () => {
    const others = { isAssigned: false, isMuted: true }
    const before = standing({ ...others, reminders: new Map([["rem", { at: null, beforeMs: hour }]]) })
    expect(judge(reminder({ beforeMs: hour }), before, "UTC", noon)).toEqual({ is: "time", planned: noon - hour })
    const fixed = standing({ ...others, dueAt: null, reminders: new Map([["rem", { at: noon, beforeMs: null }]]) })
    expect(judge(reminder({}), fixed, "UTC", noon)).toEqual({ is: "time", planned: noon })
  })

  it("of a day is meant on the clocks of whoever looks at them", () => {
    const sees = standing({ dueAt: null, dueDate: "2026-06-15" })
    const nine = { "Europe/Berlin": "07:00", "Pacific/Kiritimati": "19:00", "America/New_York": "13:00", UTC: "09:00" }
    for (const [zone, time] of Object.entries(nine)) {
      const planned = Date.parse(`2026-06-${zone.endsWith("Kiritimati") ? 14 : 15}T${time}:00Z`)
      expect(judge(onDay, sees, zone, planned - 1), zone).toEqual({ is: "early", until: planned })
      expect(judge(onDay, sees, zone, planned), zone).toEqual({ is: "time", planned })
    }
  })

  it("comes to its time in no zone before the earliest or after the latest", () => {
    const zones = fc.constantFrom("UTC", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu", "America/St_Johns")
    const moments = fc.record({
      date: fc.integer({ min: 0, max: 9_999 }).map((n) => new Date(noon + n * day).toISOString().slice(0, 10)),
      beforeMs: fc.nat({ max: 500_000 }).map((n) => n * minute),
    })
    fc.assert(
      fc.property(moments, zones, (part, zone) => {
        const moment: Moment = { at: null, ...part }
        const planned = plannedFor(moment, zone)
        expect(earliest(moment) <= planned && planned <= latest(moment)).toBe(true)
      }),
    )
  })
})

describe("an entry of the log", () => {
  const entry = (type: string, before: object | null, after: object | null) =>
    givenBy({ type, subjectId: "tsk", actorId: "usr_a", data: { before, after }, at: 5 } as LogEntry)
  const someDue = { at: "2026-06-15T12:00:00.000Z" }

  it("gives to watch what may become time by it", () => {
    const given = (userIds: string[] | null) => ({ taskId: "tsk", userIds, since: 5 })
    expect(entry("task.created", null, { due: someDue, assigneeIds: ["usr_b"] })).toEqual(given(["usr_b"]))
    expect(entry("task.updated", { due: null }, { due: someDue })).toEqual(given(null))
    expect(entry("task.reopened", { status: "done" }, { status: "todo" })).toEqual(given(null))
    const more = [{ assigneeIds: ["usr_b", "usr_c"] }, { assigneeIds: ["usr_c", "usr_d"] }] as const
    expect(entry("task.updated", ...more)).toEqual(given(["usr_d"]))
    expect(entry("member.reminder_set", null, { taskId: "tsk" })).toEqual(given(["usr_a"]))
  })

  it("gives nothing otherwise: then nothing is asked of the database", () => {
    for (const [type, after] of [
      ["task.created", { due: null, assigneeIds: ["usr_b"] }],
      ["task.updated", { title: "x" }],
      ["task.updated", { due: null }],
      ["task.closed", { status: "done" }],
      ["task.deleted", null],
      ["member.reminder_removed", null],
      ["comment.created", { taskId: "tsk" }],
      ["project.created", { id: "prj" }],
    ] as const) {
      expect(entry(type, {}, after), type).toBeNull()
    }
  })
})
