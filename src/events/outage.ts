import { ReadOnly } from "../db/db.ts"
import { classify, isTrouble } from "../db/errors.ts"
import { DeadlineExceeded } from "../lib/deadline.ts"
import { isObjectTrouble } from "../lib/object-trouble.ts"

/** Whether what a reader works with is out of order, and not what it was doing: then that is done again, however often. */
export const isOutage = (error: unknown): boolean =>
  isTrouble(classify(error)) || isObjectTrouble(error) || error instanceof DeadlineExceeded || error instanceof ReadOnly
