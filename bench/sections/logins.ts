import type { Bench } from "../bench.ts"
import { ask, type Figures, load, median, middle, type Target } from "../load.ts"
import { type Report, told } from "../report.ts"
import { password, type Viewer } from "../seed/rows.ts"
import { ours, referenceViewers, type Side, seededD1 } from "../sides.ts"
import { nth, readOf } from "../work.ts"

const perSecond = 5

const method = `One Worker on D1. 16 connections read one task after the other without pauses, in turns alone and while ${perSecond}
sign-ins a second are sent whatever becomes of them, each with the right password of another user; the median of three rounds of
twice the time. A sign-in computes scrypt (N=2^15, r=8, p=3), which holds the thread of the isolate; here there is one isolate
and so one thread for everybody, and deployed there are more. The p99 is no evidence: this machine's own noise is of its size.`

type Logins = { taken: number; refused: number; times: number[] }

export async function logins(bench: Bench): Promise<Report> {
  const viewers = referenceViewers()
  const side = await ours(bench, { state: await seededD1(bench), viewers })
  const reading = readersOf(side, viewers)
  const seconds = bench.seconds * 2
  const rounds: { alone: Figures; beside: Figures }[] = []
  const signedIn: Logins = { taken: 0, refused: 0, times: [] }
  let turn = 0
  const signIn = () => {
    turn += 1
    return login(side, nth(viewers, turn), signedIn)
  }
  await signIn()
  for (let round = 0; round < bench.rounds; round += 1) {
    const alone = await load(reading, seconds)
    const beside = await loadBeside(reading, seconds, signIn)
    rounds.push({ alone, beside })
    bench.tell(`p50 ${alone.p50.toFixed(1)} ms alone, ${beside.p50.toFixed(1)} ms beside sign-ins`)
  }
  const alone = middle(rounds.map((round) => round.alone))
  const beside = middle(rounds.map((round) => round.beside))
  const shown = ({ p50, p99, perSecond }: Figures) =>
    `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(0)} ms, ${perSecond.toFixed(0)} a second`
  return {
    method,
    rows: [
      told("reads of one task, alone", shown(alone)),
      told(`reads of one task, beside ${perSecond} sign-ins a second`, shown(beside)),
      told(
        "sign-ins meanwhile",
        `${signedIn.taken} taken (p50 ${median(signedIn.times).toFixed(0)} ms), ${signedIn.refused} told to come back`,
      ),
    ],
    data: { rounds, signedIn },
  }
}

function readersOf(side: Side, viewers: Viewer[]): Target {
  let n = 0
  return {
    url: side.url,
    next: () => {
      n += 1
      const viewer = nth(viewers, n)
      return readOf(side, viewer, "task", nth(nth(viewer.projects, n).taskIds, n))
    },
  }
}

async function login({ url }: Side, { email }: Viewer, counts: Logins): Promise<void> {
  const answer = await ask(url, { method: "POST", path: "/api/v1/auth/login", body: { email, password } })
  if (answer.status === 200) {
    counts.taken += 1
    counts.times.push(answer.ms)
  } else if (answer.status === 503) {
    counts.refused += 1
  } else {
    throw new Error(`A sign-in was answered with ${answer.status}: ${answer.body}`)
  }
}

async function loadBeside(target: Target, seconds: number, work: () => Promise<void>): Promise<Figures> {
  const under: Promise<void>[] = []
  const timer = setInterval(() => under.push(work()), 1_000 / perSecond)
  try {
    return await load(target, seconds)
  } finally {
    clearInterval(timer)
    await Promise.all(under)
  }
}
