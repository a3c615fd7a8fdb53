import { second } from "../lib/time.ts"

// What a colo knows of how far one viewer has seen the log of one workspace, and when an answer that was kept is still
// right. Two entries of the Cache API hold it: there is no write on a condition, so the order in which writes
// of an entry arrive must not matter, and neither may losing one. This file is the whole of that argument, without a
// clock or a network; test/cache/rev.test.ts plays it through. Times are epoch milliseconds, by the clock of whoever
// wrote them.
//
// `mark` is written by whoever learns of something newer, before they answer: those who wrote, and those who read what
// somebody else wrote. `rev` is written by those who read and found nothing newer. A rev is worth something only beside
// a mark that it reaches. The writers of two marks may be overtaken by each other, so a mark also says from when on a
// read must have begun to know of both: then it has asked the primary after both had committed.

export type Mark = { seq: number; settledAt: number }
/** `at`: when the read began whose answer it was. `bookmark`: how far the database was; null where there are none. */
export type Rev = { seq: number; at: number; bookmark: string | null }
export type Known = { mark: Mark | null; rev: Rev | null }

/** How long it is believed that nothing has happened since: what others do is seen that much later. */
export const freshLife = second
/** How long writing an entry may take; whoever waits longer takes it for lost, and forgets what is known. */
export const writing = 150
/** More than that, and twice what the clocks of a colo differ: 60 ms each. */
export const settling = 300
/** How long a rev stays as it is: who asks for one thing after the other does not write one for each. */
export const renewing = 250
/** How long the entries and the answers are kept. Who comes back later asks the primary. */
export const keptLife = 300 * second
/** How old an answer may be that is given because the database does not answer. */
export const staleLife = 60 * second

/** The rev, if no newer thing is known than it reaches. */
export const trusted = ({ mark, rev }: Known): Rev | null =>
  mark && rev && rev.seq >= mark.seq && rev.at >= mark.settledAt ? rev : null

/** Whether what was kept at a trusted rev may be given without asking anybody. */
export const isFresh = ({ at }: Rev, now: number): boolean => now - at < freshLife && at - now < settling

/** Whether it may be given because nobody answers. */
export const isBearable = ({ at }: Rev, now: number): boolean => now - at < staleLife && at - now < settling

/** What is written down once something was committed, or once a read has found something newer. */
export const markOf = (seq: number, now: number): Mark => ({ seq, settledAt: now + settling })

/** A mark is written down before the answer, a rev may follow it. */
export type Lesson = { mark: Mark } | { rev: Rev }

/**
 * What a read has to write down: a mark when what it found is not what was known (it may be newer, or the database was
 * set back), a rev when it is, and nothing as long as the mark has not settled or the last rev is as good.
 */
export function learn(known: Known, found: Rev, now: number): Lesson | null {
  const { mark } = known
  if (!mark || found.seq !== mark.seq) return { mark: markOf(found.seq, now) }
  const rev = trusted(known)
  const isSoon = rev !== null && found.at - rev.at < renewing
  return found.at >= mark.settledAt && !isSoon ? { rev: found } : null
}
