import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { LogEntry } from "../../src/db/commit.ts"
import { Lane, type LaneState, triesPerEntry } from "../../src/events/lane.ts"

class Outage extends Error {}

const entry = (seq: number): LogEntry => ({
  seq,
  type: "task.created",
  subjectId: `tsk_${seq}`,
  subjectKey: null,
  actorRole: "owner",
  revision: 1,
  actorId: "usr",
  source: "api",
  projectId: null,
  previousProjectId: null,
  data: { before: null, after: null },
  at: 0,
})

const range = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => entry(from + n))

/** A log, a reader that fails as it is told to, and the lane between them. */
function open(options: { poison?: Set<number>; unreadable?: Set<number>; start?: LaneState } = {}) {
  const { poison = new Set(), unreadable = new Set(), start = { seq: 0, failing: null } } = options
  const world = {
    length: 0,
    now: 1_000,
    isDown: false,
    read: [] as number[],
    parked: [] as number[],
    /** What comes in while the reader has entries. */
    meanwhile: [] as (() => void)[],
  }
  const lane = new Lane({
    state: start,
    read: async (entries) => {
      await Promise.resolve()
      world.meanwhile.shift()?.()
      if (world.isDown) throw new Outage()
      if (entries.some(({ seq }) => poison.has(seq))) throw new Error("poison")
      world.read.push(...entries.map(({ seq }) => seq))
    },
    fetch: async (after, limit) => {
      await Promise.resolve()
      if (world.isDown) throw new Outage()
      const found = range(after + 1, Math.min(world.length, after + limit))
      if (found.some(({ seq }) => unreadable.has(seq))) throw new Error("unreadable")
      return found
    },
    park: (seq) => void world.parked.push(seq),
    isOutage: (error) => error instanceof Outage,
    now: () => world.now,
  })
  /** Lets it try until it has read everything, or `times` pauses have passed. */
  const settle = async (times = 200) => {
    await lane.run()
    for (let n = 0; n < times && lane.isBehind; n += 1) {
      world.now = Math.max(world.now, lane.retryAt ?? 0)
      await lane.run()
    }
  }
  return { lane, world, settle }
}

const fates = {
  now: { atOnce: true, after: false },
  late: { atOnce: false, after: true },
  twice: { atOnce: true, after: true },
  lost: { atOnce: false, after: false },
}

describe("a reader's lane", () => {
  it("reads everything once and in order, however news come: late, twice, out of order, or not at all", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            commits: fc.integer({ min: 1, max: 7 }),
            fate: fc.constantFrom(...(Object.keys(fates) as (keyof typeof fates)[])),
            // What others have committed between these commits is not told with them.
            holes: fc.array(fc.nat(6), { maxLength: 3 }),
          }),
        ),
        fc.boolean(),
        async (writes, isBare) => {
          const { lane, world, settle } = open()
          const late: (() => void)[] = []
          for (const { commits, fate, holes } of writes) {
            const news = range(world.length + 1, world.length + commits).filter((_entry, n) => !holes.includes(n))
            world.length += commits
            const { length } = world
            const tell = () => lane.offer(length, isBare ? null : news)
            const { atOnce, after } = fates[fate]
            if (atOnce) tell()
            if (after) late.unshift(tell)
            await lane.run()
          }
          for (const tell of late) tell()
          // The alarm's look at where the log ends.
          lane.offer(world.length, null)
          await settle()
          expect(world.read).toEqual(range(1, world.length).map(({ seq }) => seq))
        },
      ),
    ))

  it("misses nothing of two who commit in turns, and each tell of all of theirs", async () => {
    const { lane, world, settle } = open()
    world.length = 6
    lane.offer(5, [entry(1), entry(3), entry(5)])
    await lane.run()
    lane.offer(6, [entry(2), entry(4), entry(6)])
    await settle()
    expect(world.read).toEqual([1, 2, 3, 4, 5, 6])
  })

  it("reads everything once and in order, however news come while it reads", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            from: fc.integer({ min: 1, max: 30 }),
            count: fc.integer({ min: 1, max: 9 }),
            holes: fc.array(fc.nat(8), { maxLength: 3 }),
          }),
        ),
        fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }),
        async (news, bad) => {
          const poison = new Set(bad)
          const { lane, world, settle } = open({ poison })
          world.length = 40
          world.meanwhile = news.map(({ from, count, holes }) => () => {
            const told = range(from, from + count - 1).filter((_entry, n) => !holes.includes(n))
            lane.offer(from + count - 1, told)
          })
          lane.offer(1, range(1, 1))
          await lane.run()
          lane.offer(40, null)
          await settle()
          expect(world.read).toEqual(
            range(1, 40)
              .map(({ seq }) => seq)
              .filter((seq) => !poison.has(seq)),
          )
        },
      ),
    ))

  it("parks what always fails, after five tries, and reads all others once", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 120 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 120 }), { maxLength: 4 }),
        fc.boolean(),
        async (length, bad, isUnreadable) => {
          const poison = new Set(bad.filter((seq) => seq <= length))
          const { lane, world, settle } = open(isUnreadable ? { unreadable: poison } : { poison })
          world.length = length
          lane.offer(length, isUnreadable ? null : range(1, length))
          await settle()
          expect(world.parked).toEqual([...poison].toSorted((a, b) => a - b))
          expect(world.read).toEqual(
            range(1, length)
              .map(({ seq }) => seq)
              .filter((seq) => !poison.has(seq)),
          )
          expect(lane.state).toEqual({ seq: length, failing: null })
        },
      ),
    ))

  it("tries a failing entry five times, longer apart each time, also across restarts", async () => {
    const first = open({ poison: new Set([1]) })
    first.world.length = 1
    first.lane.offer(1, null)
    const pauses: number[] = []
    let { lane, world } = first
    await lane.run()
    while (world.parked.length === 0) {
      const { failing } = lane.state
      if (!failing) throw new Error("It is not failing")
      pauses.push(failing.retryAt - world.now)
      const { now } = world
      ;({ lane, world } = open({ poison: new Set([1]), start: lane.state }))
      Object.assign(world, { length: 1, now: now + (pauses.at(-1) ?? 0) })
      lane.offer(1, null)
      await lane.run()
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000])
    expect(pauses).toHaveLength(triesPerEntry - 1)
  })

  it("parks nothing while what it works with is down, however long", async () => {
    const { lane, world, settle } = open()
    world.length = 3
    world.isDown = true
    lane.offer(3, range(1, 3))
    await settle(50)
    expect([world.parked, lane.state.seq]).toEqual([[], 0])
    world.isDown = false
    await settle()
    expect(world.read).toEqual([1, 2, 3])
  })

  it("waits for nothing that is not there", async () => {
    const { lane, world, settle } = open()
    world.length = 2
    lane.offer(9, null)
    await settle()
    expect([world.read, lane.isBehind]).toEqual([[1, 2], false])
  })

  it("is run by many at once and reads once", async () => {
    const { lane, world } = open()
    world.length = 300
    lane.offer(300, null)
    await Promise.all(Array.from({ length: 10 }, () => lane.run()))
    expect(world.read).toEqual(range(1, 300).map(({ seq }) => seq))
  })
})
