// Makes the secrets of a deployment. Run by itself (npm run secrets) it prints them, for `wrangler secret bulk`.
import { randomBytes, randomUUID } from "node:crypto"
import { pathToFileURL } from "node:url"
import { exportJWK, generateKeyPair } from "jose"

export type Secrets = { SIGNING_KEY: string; INSTANCE_KEY: string }

export async function makeSecrets(): Promise<Secrets> {
  const { privateKey } = await generateKeyPair("EdDSA", { extractable: true })
  return {
    SIGNING_KEY: JSON.stringify({ ...(await exportJWK(privateKey)), kid: randomUUID().slice(0, 8) }),
    INSTANCE_KEY: randomBytes(32).toString("base64url"),
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href)
  console.log(JSON.stringify(await makeSecrets(), null, 2))
