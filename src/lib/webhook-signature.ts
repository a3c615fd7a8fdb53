import { utf8 } from "./bytes.ts"

// Standard Webhooks 1.0.0: what a message is called, how it is signed, and with which secrets.

/** The id of what is sent to a webhook about one entry of the log: the same with every attempt. */
export const messageIdOf = (webhookId: string, seq: number): string => `msg_${webhookId.replace(/^\w+_/, "")}_${seq}`

/** The 32 bytes of a webhook's secret. They follow from the instance key, so none is stored. */
export async function secretBytes(
  instanceKey: CryptoKey,
  { workspaceId, id }: { workspaceId: string; id: string },
  generation: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const text = utf8(`webhook ${workspaceId} ${id} ${generation}`)
  return new Uint8Array(await crypto.subtle.sign("HMAC", instanceKey, text))
}

export const formatSecret = (bytes: Uint8Array): string => `whsec_${bytes.toBase64()}`

type Signed = { id: string /** Unix seconds. */; timestamp: number; body: string }

/** A value of the header webhook-signature: one signature per secret, so that a receiver may know either of them. */
export async function signatureOf(
  secrets: Uint8Array<ArrayBuffer>[],
  { id, timestamp, body }: Signed,
): Promise<string> {
  const signatures = secrets.map(async (secret) => {
    const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
    const code = await crypto.subtle.sign("HMAC", key, utf8(`${id}.${timestamp}.${body}`))
    return `v1,${new Uint8Array(code).toBase64()}`
  })
  return (await Promise.all(signatures)).join(" ")
}
