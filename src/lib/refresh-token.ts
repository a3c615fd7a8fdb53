import { equalSecrets, hmac } from "./hmac.ts"

/** A refresh token names its user, its session and its place in the session's chain; `secret` proves that place. */
export type RefreshToken = { userId: string; sessionId: string; generation: number; secret: string }

const body = ({ userId, sessionId, generation, secret }: RefreshToken) =>
  `ewr_${userId}.${sessionId}.${generation}.${secret}`

/** The token as text, closed by a code of the instance's own key: who cannot make one cannot reach any session object. */
export async function formatRefreshToken(instanceKey: CryptoKey, token: RefreshToken): Promise<string> {
  const text = body(token)
  return `${text}.${await hmac(instanceKey, text)}`
}

/** Null for anything this instance did not issue. */
export async function parseRefreshToken(instanceKey: CryptoKey, text: string): Promise<RefreshToken | null> {
  const match = /^ewr_(usr_\w{26})\.(ses_\w{26})\.([1-9]\d{0,8})\.([\w-]{43})\.([\w-]{43})$/.exec(text)
  if (!match) return null
  const [, userId = "", sessionId = "", generation = "", secret = "", mac = ""] = match
  const token = { userId, sessionId, generation: Number(generation), secret }
  return equalSecrets(mac, await hmac(instanceKey, body(token))) ? token : null
}
