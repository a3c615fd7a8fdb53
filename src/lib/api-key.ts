import { fnv1a } from "./hash.ts"

// `ew_<workspace>_<secret>_<checksum>`: a prefix that scanners of leaked secrets can look for, the workspace that the key
// belongs to, 256 random bits, and a checksum that tells a typing error without asking anybody. Letters, digits and
// underscores alone, so that a double click selects it whole.

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
const secretBytes = 32
// 62^43 > 2^256.
const secretLength = 43

const pattern = /^(ew_([0-7][0-9a-hjkmnp-tv-z]{25})_[0-9A-Za-z]{43})_([0-9a-z]{7})$/

/** Whether a credential claims to be an API key. Refresh tokens begin with `ewr_`. */
export const isApiKeyLike = (credential: string): boolean => credential.startsWith("ew_")

const checksumOf = (body: string) => fnv1a(body).padStart(7, "0")

/** A new key for a workspace. Whoever has it is let in; what is kept of it is its hash. */
export function makeApiKey(workspaceId: string): string {
  const secret = base62(crypto.getRandomValues(new Uint8Array(secretBytes))).padStart(secretLength, "0")
  const body = `ew_${workspaceId.replace(/^wsp_/, "")}_${secret}`
  return `${body}_${checksumOf(body)}`
}

/** The workspace that a key names; null for what cannot be a key. */
export function parseApiKey(text: string): { workspaceId: string } | null {
  const [, body = "", workspace = "", checksum = ""] = pattern.exec(text) ?? []
  return body && checksumOf(body) === checksum ? { workspaceId: `wsp_${workspace}` } : null
}

/** What of a key may be shown, to recognise it by. */
export const hintOf = (key: string): string => `${key.slice(0, 7)}…${key.slice(-4)}`

function base62(bytes: Uint8Array): string {
  let left = BigInt(`0x${bytes.toHex()}`)
  let text = ""
  for (; left > 0n; left /= 62n) text = alphabet.charAt(Number(left % 62n)) + text
  return text
}
