/** Whether a Durable Object, and not what it was called for, is at fault: it says so in these two properties. */
export const isObjectTrouble = (error: unknown): boolean =>
  error instanceof Error &&
  (("overloaded" in error && error.overloaded === true) || ("retryable" in error && error.retryable === true))
