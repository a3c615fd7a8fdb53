import type { Bench } from "../bench.ts"
import { type Answer, type Figures, inTurns, isHit, middle, type Target } from "../load.ts"
import { referenceMix, ways } from "../mix.ts"
import { type Played, play, together } from "../play.ts"
import { atLeast, notMeasured, type Report, type Row, type Table, told } from "../report.ts"
import type { Viewer } from "../seed/rows.ts"
import { bareHandler, ours, referenceViewers, type Side, seededD1 } from "../sides.ts"
import {
  firstReads,
  type Read,
  reads,
  repeatedReads,
  repeatedWrites,
  revalidating,
  type Write,
  writes,
} from "../work.ts"

const readBar = 0.8
const writeBar = 0.7

const method = `Both are built by wrangler and served by Miniflare on a socket of their own, on D1 files that began as copies of
one (100 users with 6 projects of 80 tasks each, written straight into the file). 16 connections without pauses, in turns, a
warm-up and then the median of three rounds. Uncached: what no viewer has read before (lists under limits of about 50), so that it
is read from D1 and kept. Without a cache: the same where the Cache API keeps nothing, as on workers.dev, so that its simulator
hides nothing of what ours adds. Fresh: one viewer goes round up to 20 things. 304: the same with the ETag of what was seen. Writes
go round all tasks. Ours does all that it does deployed, under limits so wide that none is reached; the line that it logs of each
write goes nowhere, because the local runtime would hand it to the process that measures. The bare handler is Hono, hand-written SQL and the same calls of the cache; it signs nobody in, checks nothing and limits nothing, and its
writes have no guards, no receipts and no check of the actor's role. The ratio is ours over the bare handler's.`

const readWays = ["without a cache", ...ways] as const
type ReadWay = (typeof readWays)[number]

type Cell = { kind: Read | Write; way: ReadWay | "write"; figures: Figures[]; hits: number[] }

export async function mix(bench: Bench): Promise<Report> {
  const viewers = referenceViewers()
  const sides = [
    await ours(bench, { state: await seededD1(bench), viewers, entry: "silent" }),
    await bareHandler(bench, await seededD1(bench)),
  ]
  const cacheless = [
    await ours(bench, { state: await seededD1(bench), viewers, entry: "no-cache" }),
    await bareHandler(bench, await seededD1(bench), "no-cache"),
  ]
  const cells: Cell[] = []
  for (const kind of reads) {
    for (const way of readWays) {
      const measured = way === "without a cache" ? cacheless : sides
      cells.push(await measure(bench, measured, viewers, { kind, way }))
    }
  }
  for (const kind of writes) cells.push(await measure(bench, sides, viewers, { kind, way: "write" }))
  const plays = await playBoth(bench, sides, viewers)

  return {
    method,
    tables: [tableOf(cells), answersOf(plays)],
    rows: [...cells.map(rowOf), ...plays.map(rowOfPlay)],
    notes: [whoPlays],
    data: { cells, plays },
  }
}

// ---- kind by kind ----

async function measure(bench: Bench, sides: Side[], viewers: Viewer[], { kind, way }: Pick<Cell, "kind" | "way">) {
  const counted = sides.map(() => ({ hits: 0, answers: 0 }))
  const targets = sides.map((side, at): Target => {
    const seen = (answer: Answer) => {
      const count = counted[at]
      if (!count) return
      count.answers += 1
      if (isHit(answer)) count.hits += 1
    }
    return way === "write"
      ? { url: side.url, next: repeatedWrites(side, viewers, kind as Write), seen }
      : { url: side.url, ...readsBy(side, viewers, kind as Read, way, seen) }
  })
  const figures = await inTurns(targets, bench)
  const [us, bare] = figures
  bench.tell(`${kind}, ${way}: ${us?.perSecond.toFixed(0)} a second, the bare handler ${bare?.perSecond.toFixed(0)}`)
  return { kind, way, figures, hits: counted.map(({ hits, answers }) => hits / answers) }
}

type Seen = NonNullable<Target["seen"]>

function readsBy(side: Side, viewers: Viewer[], kind: Read, way: ReadWay, seen: Seen): Pick<Target, "next" | "seen"> {
  const [first, ...others] = viewers
  if (!first) throw new RangeError("There is nobody to read")
  // Whoever reads for the first time is nobody who has been here.
  if (way === "uncached" || way === "without a cache") return { next: firstReads(side, others, kind), seen }
  const next = repeatedReads(side, first, kind)
  if (way === "fresh") return { next, seen }
  const etags = new Map<string, string>()
  return {
    next: () => {
      const call = next()
      const etag = etags.get(call.path)
      return etag === undefined ? call : revalidating(call, etag)
    },
    seen: (answer, call) => {
      etags.set(call.path, String(answer.headers["etag"]))
      seen(answer, call)
    },
  }
}

const ratio = ({ figures: [us, bare] }: Cell) => (us?.perSecond ?? Number.NaN) / (bare?.perSecond ?? Number.NaN)

function rowOf(cell: Cell): Row {
  const { kind, way, hits } = cell
  if (way === "write") return atLeast(`${kind}, over the bare handler`, writeBar, ratio(cell))
  const what = `${kind}, ${way}, over the bare handler`
  // Nothing was kept, so this was the uncached read once more.
  if ((way === "fresh" || way === "304") && hits.some((share) => share < 0.5)) {
    return notMeasured(what, `≥ ${readBar.toFixed(2)}`, `hits: ${hits.map(percent).join(" and ")}`)
  }
  return atLeast(what, readBar, ratio(cell))
}

const tableOf = (cells: Cell[]): Table => ({
  title: "Requests a second by kind and by how they are answered (h: share of hits, as X-Cache tells it)",
  lines: [
    ["kind", "way", "ours/s", "p50 ms", "h", "bare/s", "p50 ms", "h", "ratio"],
    ...cells.map((cell) => [
      cell.kind,
      cell.way,
      ...cell.figures.flatMap(({ perSecond, p50 }, side) => [
        perSecond.toFixed(0),
        p50.toFixed(1),
        cell.way === "write" ? "" : percent(cell.hits[side] ?? 0),
      ]),
      ratio(cell).toFixed(2),
    ]),
  ],
})

// ---- the mix itself ----

const whoPlays = `The mix is 65 % one task, 23 % a project's tasks, 9 % the projects, 3 % writes, chosen evenly among what a
viewer has. Without pauses all are integrations, each of which sends 25 requests one after the other. With pauses a fifth of the
requests comes from 10 people, whose pages ask three things, who wait 1 to 3 s before the next page and whose browser revalidates
what it has seen; then the pauses set the pace, so that no throughput is told.`

type MixPlayed = { name: string; isPaced: boolean; rounds: Played[][] }

async function playBoth(bench: Bench, sides: Side[], viewers: Viewer[]): Promise<MixPlayed[]> {
  const played: MixPlayed[] = []
  for (const withPeople of [false, true]) {
    // Where pauses set the pace there is nothing to compare.
    const measured = withPeople ? sides.slice(0, 1) : sides
    const rounds: Played[][] = measured.map(() => [])
    const name = withPeople ? "the reference mix with pauses" : "the reference mix without pauses"
    // What is fresh shows only after a while, and pauses are long.
    const seconds = bench.seconds * (withPeople ? 5 : 2)
    for (let round = 0; round < bench.rounds; round += 1) {
      for (const [at, side] of measured.entries()) {
        rounds[at]?.push(await play(side, viewers, { seconds, seed: round, withPeople }))
      }
    }
    bench.tell(`${name}: ${rounds.map((side) => `${perSecond(side).toFixed(0)} a second`).join(", the bare handler ")}`)
    played.push({ name, isPaced: withPeople, rounds })
  }
  return played
}

const perSecond = (rounds: Played[]) => middle(rounds.map(({ figures }) => figures)).perSecond

function rowOfPlay({ name, isPaced, rounds: [us = [], bare = []] }: MixPlayed): Row {
  if (!isPaced) return atLeast(`${name}, over the bare handler`, readBar, perSecond(us) / perSecond(bare))
  const answers = together(us)
  const all = reads.reduce((sum, kind) => sum + ways.reduce((part, way) => part + answers[kind][way], 0), 0)
  const asked = reads.reduce((sum, kind) => sum + answers[kind].uncached, 0)
  return told(`${name}, reads answered without the database`, percent(1 - asked / all))
}

function answersOf(plays: MixPlayed[]): Table {
  const lines = plays.flatMap(({ name, rounds: [us = []] }) => {
    const answers = together(us)
    const tiers = us.flatMap((round) => Object.entries(round.tiers))
    const from = [...new Set(tiers.map(([tier]) => tier))].map((tier) => {
      const count = tiers.filter(([other]) => other === tier).reduce((sum, [, n]) => sum + n, 0)
      return `${count} ${tier}`
    })
    return reads.map((kind, at) => {
      const all = ways.reduce((sum, way) => sum + answers[kind][way], 0)
      const shares = ways.map((way) => percent(answers[kind][way] / all))
      return [
        at === 0 ? name : "",
        kind,
        `${(referenceMix[kind] * 100).toFixed(0)} %`,
        ...shares,
        at === 0 ? from.join(", ") : "",
      ]
    })
  })
  return {
    title: "How ours answered the reads of the mix, and where hits came from",
    lines: [["", "kind", "share", ...ways, "hits"], ...lines],
  }
}

const percent = (share: number) => `${(share * 100).toFixed(0)} %`
