import { hour, minute } from "../lib/time.ts"

/** At most `quota` requests in a window of `windowMs` that begins with the first of them. */
export type Policy = { name: string; quota: number; windowMs: number }

/** Who may do what how often. Sign-in is limited by address and by account, whichever is used up first. */
export const policies = {
  /** Every request of a person, or through a key; those of 1,000 and more are leased (leasing.ts). */
  requestsByUser: { name: "user", quota: 3_000, windowMs: 5 * minute },
  requestsByKey: { name: "api-key", quota: 6_000, windowMs: 5 * minute },
  /** Requests that need a token and have none, or none that is valid. */
  anonymousByAddress: { name: "anonymous", quota: 100, windowMs: 15 * minute },
  registerByAddress: { name: "register-address", quota: 10, windowMs: hour },
  loginByAddress: { name: "login-address", quota: 30, windowMs: 15 * minute },
  loginByAccount: { name: "login-account", quota: 10, windowMs: 15 * minute },
  refreshByAddress: { name: "refresh-address", quota: 300, windowMs: 15 * minute },
  /** Requests with an API key that is none. */
  keyFailures: { name: "key-failures", quota: 30, windowMs: 15 * minute },
  invitationsByUser: { name: "invitations-user", quota: 50, windowMs: hour },
  acceptanceByAddress: { name: "acceptance-address", quota: 30, windowMs: 15 * minute },
  /** Mail to an address that somebody names; tokens out of mail; guesses of one's own password. */
  resetByAddress: { name: "reset-address", quota: 20, windowMs: hour },
  resetByAccount: { name: "reset-account", quota: 5, windowMs: hour },
  mailedTokenByAddress: { name: "mailed-token-address", quota: 30, windowMs: 15 * minute },
  verificationByUser: { name: "verification-user", quota: 5, windowMs: hour },
  passwordByUser: { name: "password-user", quota: 10, windowMs: 15 * minute },
  emailChangeByUser: { name: "email-change-user", quota: 5, windowMs: hour },
} as const satisfies Record<string, Policy>

/** How much wider every limit is under RATE_LIMITS=relaxed. */
export const relaxation = 10_000
