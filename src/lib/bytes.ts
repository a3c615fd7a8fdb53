const encoder = new TextEncoder()

export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(encoder.encode(text))

export const byteLength = (text: string): number => utf8(text).byteLength

export const toBase64Url = (bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): string =>
  new Uint8Array(bytes).toBase64({ alphabet: "base64url", omitPadding: true })

/** Null for what is not base64url. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url", lastChunkHandling: "loose" })
  } catch {
    return null
  }
}
