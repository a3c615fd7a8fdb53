import { second } from "../lib/time.ts"

/** Somebody's place in a workspace, behind one socket. Stands in the socket's attachment, so it outlives hibernation. */
export type Seat = {
  userId: string
  /** The session or the API key that it was opened with: when that ends, so does the socket. */
  sessionId: string
  keyId: string | null
  /** Epoch milliseconds after which nothing is told any more. */
  until: number
  /** What is told live begins after this number; null while what was missed is still being told. */
  from: number | null
  /** Characters sent, and of those how many the client says have arrived. */
  sent: number
  received: number
  looksAt: { taskId: string; projectId: string } | null
}

export type NewSeat = Pick<Seat, "userId" | "sessionId" | "keyId" | "until">

export const seatOf = (opened: NewSeat): Seat => ({ ...opened, from: null, sent: 0, received: 0, looksAt: null })

/** How much may be under way to a client, in characters: beyond that it is too slow, and memory is not for it. */
export const underWayAtMost = 1_048_576
/** How often a seat's counts are stored, in characters: what hibernation forgets of them is less. */
const storedEvery = 65_536

/** What of it a client that acknowledges as it should would not leave: the runtime keeps that in memory. */
export const backlogOf = ({ sent, received }: Seat): number => Math.max(0, sent - received - 2 * storedEvery)

/** How much that may be for all sockets of a workspace, in characters: an object has 128 MB for everything. */
export const backlogAtMost = 33_554_432

export const isSlow = ({ sent, received }: Seat): boolean => sent - received > underWayAtMost

/** Counts what was sent; tells whether the seat is worth storing again. */
export function countSent(seat: Seat, characters: number): boolean {
  const before = Math.floor(seat.sent / storedEvery)
  seat.sent += characters
  return Math.floor(seat.sent / storedEvery) > before
}

/** Believes no more than was sent, and never less than was said before. */
export function countReceived(seat: Seat, received: number): void {
  seat.received = Math.min(seat.sent, Math.max(seat.received, received))
}

/** How many messages a client may send in a row, and how many a second after that. */
const burst = 20
const perSecond = 2

/** Refuses whoever sends more messages than people make. In memory: hibernation takes ten quiet seconds. */
export class Pace {
  #left = burst
  #at = 0

  take(now: number): boolean {
    this.#left = Math.min(burst, this.#left + ((now - this.#at) / second) * perSecond)
    this.#at = now
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}
