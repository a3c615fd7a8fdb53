import type { Limiter } from "../../src/limits/limiter.ts"

/** A limiter that decides in its own way, and takes nothing back. */
export const limiterOf = (take: Limiter["take"]): Limiter => ({ take, takeBack: () => null })

export const deadLimiter = limiterOf(() => Promise.reject(new Error("The limiter's engine is down")))
