import { hour, minute } from "../lib/time.ts"

/** At most `quota` requests in a window of `windowMs` that begins with the first of them. */
export type Policy = { name: string; quota: number; windowMs: number }

/** Who may do what how often. Sign-in is limited by address and by account, whichever is used up first. */
export const policies = {
  registerByAddress: { name: "register-address", quota: 10, windowMs: hour },
  loginByAddress: { name: "login-address", quota: 30, windowMs: 15 * minute },
  loginByAccount: { name: "login-account", quota: 10, windowMs: 15 * minute },
  refreshByAddress: { name: "refresh-address", quota: 300, windowMs: 15 * minute },
} as const satisfies Record<string, Policy>

/** How much wider every limit is under RATE_LIMITS=relaxed. */
export const relaxation = 10_000
