import { fromBase64Url, toBase64Url, utf8 } from "./bytes.ts"
import { equalSecrets, hmac } from "./hmac.ts"

/** What a mailed token is for, and how it begins: one for this cannot be used for that. */
const prefixes = { verification: "ewv", reset: "ewp", change: "ewc" } as const

export type MailPurpose = keyof typeof prefixes

/** `expiresAt` in epoch milliseconds. `email` is the address that a change leads to, else empty. */
export type MailToken = { purpose: MailPurpose; userId: string; expiresAt: number; email: string }

/** A token as it came, which proves nothing before `isGenuine` has been asked. */
export type PresentedToken = MailToken & { body: string; mac: string }

/**
 * A token that nothing needs to be stored for. `state` is what must still be so when it is used: whatever changes one
 * of its values, such as the use itself, makes the token worthless.
 */
export async function formatMailToken(instanceKey: CryptoKey, token: MailToken, state: string[]): Promise<string> {
  const { purpose, userId, expiresAt, email } = token
  const body = `${prefixes[purpose]}_${userId}.${expiresAt}${email && `.${toBase64Url(utf8(email))}`}`
  return `${body}.${await macOf(instanceKey, purpose, body, state)}`
}

/** Null for what is not of this form. */
export function parseMailToken(purpose: MailPurpose, text: string): PresentedToken | null {
  const match = /^((ew[a-z])_(usr_\w{26})\.([1-9]\d{0,14})(?:\.([\w-]{1,342}))?)\.([\w-]{43})$/.exec(text)
  if (!match) return null
  const [, body = "", prefix, userId = "", expiresAt, address = "", mac = ""] = match
  const email = decode(address)
  if (prefix !== prefixes[purpose] || email === null || (purpose === "change") !== (email !== "")) return null
  return { purpose, userId, expiresAt: Number(expiresAt), email, body, mac }
}

/** Whether this instance made the token, it has not expired, and all is as it was then. */
export async function isGenuine(
  instanceKey: CryptoKey,
  { purpose, body, mac, expiresAt }: PresentedToken,
  state: string[],
  now: number,
): Promise<boolean> {
  return equalSecrets(mac, await macOf(instanceKey, purpose, body, state)) && now < expiresAt
}

/** As JSON, so that no two lists of values read the same, and none reads like a text that another code closes. */
const macOf = (instanceKey: CryptoKey, purpose: MailPurpose, body: string, state: string[]) =>
  hmac(instanceKey, JSON.stringify([`mail ${purpose}`, body, ...state]))

function decode(text: string): string | null {
  const bytes = fromBase64Url(text)
  if (!bytes) return null
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}
