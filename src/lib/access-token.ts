import * as jose from "jose"
import { Lru } from "./lru.ts"
import type { Role } from "./roles.ts"
import { minute, second } from "./time.ts"

/** What an access token says: who, in which workspace, as what, from which session. */
export type AccessClaims = { userId: string; workspaceId: string; role: Role; sessionId: string }

export const accessTokenLife = 10 * minute

const audience = "edgewise-api"
const algorithm = "EdDSA"
const type = "at+jwt"

export type AccessTokens = {
  issue(claims: AccessClaims, now: number): Promise<string>
  /** Null for whatever is not a live token of this instance. Touches no backend. */
  verify(token: string, now: number): Promise<AccessClaims | null>
  /** The public keys, as RFC 7517 has them. */
  jwks: jose.JSONWebKeySet
}

type Options = {
  issuer: string
  /** The private Ed25519 key that signs, as a JWK with a `kid`. */
  signingKey: jose.JWK
  /** Keys that may still have signed a live token. */
  previousKeys?: jose.JWK[]
}

const publicPart = ({ kty, crv, x, kid }: jose.JWK): jose.JWK => ({
  ...(kty && { kty }),
  ...(crv && { crv }),
  ...(x && { x }),
  ...(kid && { kid }),
  alg: algorithm,
  use: "sig",
})

/** Short JWTs in the form of RFC 9068, signed with EdDSA. Keys are imported once; verified tokens are remembered until they expire. */
export async function openAccessTokens({ issuer, signingKey, previousKeys = [] }: Options): Promise<AccessTokens> {
  const jwks = { keys: [signingKey, ...previousKeys].map(publicPart) }
  const privateKey = await jose.importJWK(signingKey, algorithm)
  const publicKeys = jose.createLocalJWKSet(jwks)
  const remembered = new Lru<string, { claims: AccessClaims; expiresAt: number }>(2_000)

  return {
    jwks,

    issue({ userId, workspaceId, role, sessionId }, now) {
      const issuedAt = Math.floor(now / second)
      return new jose.SignJWT({ client_id: "edgewise", sid: sessionId, wsp: workspaceId, role })
        .setProtectedHeader({ alg: algorithm, typ: type, ...(signingKey.kid && { kid: signingKey.kid }) })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(userId)
        .setJti(crypto.randomUUID())
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + accessTokenLife / second)
        .sign(privateKey)
    },

    async verify(token, now) {
      const known = remembered.get(token)
      if (known) return known.expiresAt > now ? known.claims : null
      try {
        const { payload } = await jose.jwtVerify(token, publicKeys, {
          issuer,
          audience,
          typ: type,
          algorithms: [algorithm],
          currentDate: new Date(now),
          requiredClaims: ["sub", "exp", "sid", "wsp", "role"],
        })
        const { sub, sid, wsp, role, exp } = payload as jose.JWTPayload & { sid: string; wsp: string; role: Role }
        const claims = { userId: sub ?? "", workspaceId: wsp, role, sessionId: sid }
        remembered.set(token, { claims, expiresAt: (exp ?? 0) * second })
        return claims
      } catch (error) {
        if (error instanceof jose.errors.JOSEError) return null
        throw error
      }
    },
  }
}
