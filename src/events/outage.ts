import { ReadOnly } from "../db/db.ts"
import { classify, isTrouble } from "../db/errors.ts"
import { DeadlineExceeded, within } from "../lib/deadline.ts"
import { isObjectTrouble } from "../lib/object-trouble.ts"
import { second } from "../lib/time.ts"

/** A queue did not take what it was given, or did not say so in time. */
export class QueueFailed extends Error {
  override name = "QueueFailed"
}

const queueDeadline = 10 * second

/** Hands something to a queue. Throws QueueFailed. */
export async function handOver(handing: Promise<unknown>): Promise<void> {
  try {
    await within(queueDeadline, handing)
  } catch (cause) {
    throw new QueueFailed("The queue did not take it", { cause })
  }
}

/** Whether what a reader works with is out of order, and not what it was doing: then that is done again, however often. */
export const isOutage = (error: unknown): boolean =>
  isTrouble(classify(error)) ||
  isObjectTrouble(error) ||
  [QueueFailed, DeadlineExceeded, ReadOnly].some((kind) => error instanceof kind)
