import { toBase64Url, utf8 } from "./bytes.ts"

/** A key that makes and checks HMAC-SHA256 codes. `secret` is at least 32 bytes. */
export function hmacKey(secret: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
}

/** HMAC-SHA256 of a text, as base64url. */
export async function hmac(key: CryptoKey, text: string): Promise<string> {
  return toBase64Url(await crypto.subtle.sign("HMAC", key, utf8(text)))
}

export async function sha256(text: string): Promise<string> {
  return toBase64Url(await crypto.subtle.digest("SHA-256", utf8(text)))
}

/** Compares two secrets in a time that does not tell where they differ. */
export function equalSecrets(a: string, b: string): boolean {
  const [left, right] = [utf8(a), utf8(b)]
  return left.byteLength === right.byteLength && crypto.subtle.timingSafeEqual(left, right)
}
