import { equalSecrets, hmac } from "./hmac.ts"

/** An invitation's token says where the invitation is. Sending it again makes the next generation. */
export type InvitationToken = { workspaceId: string; invitationId: string; generation: number }

const body = ({ workspaceId, invitationId, generation }: InvitationToken) =>
  `ewi_${workspaceId}.${invitationId}.${generation}`

/** The token as text, closed by a code of the instance's own key, so that nothing of it needs to be stored. */
export async function formatInvitationToken(instanceKey: CryptoKey, token: InvitationToken): Promise<string> {
  const text = body(token)
  return `${text}.${await hmac(instanceKey, text)}`
}

/** Null for anything this instance did not issue. */
export async function parseInvitationToken(instanceKey: CryptoKey, text: string): Promise<InvitationToken | null> {
  const match = /^ewi_(wsp_\w{26})\.(inv_\w{26})\.([1-9]\d{0,8})\.([\w-]{43})$/.exec(text)
  if (!match) return null
  const [, workspaceId = "", invitationId = "", generation = "", mac = ""] = match
  const token = { workspaceId, invitationId, generation: Number(generation) }
  return equalSecrets(mac, await hmac(instanceKey, body(token))) ? token : null
}
