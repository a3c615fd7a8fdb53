/** Thrown when work has not answered in time. It may still be done. */
export class DeadlineExceeded extends Error {
  override name = "DeadlineExceeded"
}

/** The answer of `work`, or DeadlineExceeded after `ms` milliseconds; `onLate` then lets go of what the work holds. */
export async function within<T>(ms: number, work: Promise<T>, onLate?: () => void): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new DeadlineExceeded(`No answer in ${ms} ms`))
      onLate?.()
    }, ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
