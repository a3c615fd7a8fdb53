import { env } from "cloudflare:workers"
import * as jose from "jose"
import { beforeAll, describe, expect, it } from "vitest"
import { Jwks } from "../../src/contracts/health.ts"
import { parseSettings } from "../../src/env.ts"
import { openInstance } from "../../src/instance.ts"
import { accessTokenLife } from "../../src/lib/access-token.ts"
import { toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import { newId } from "../../src/lib/ids.ts"
import { openApp, type TestApp } from "../support/app.ts"
import { type Caller, costOf, newCaller, newTask, problemIn, sharedApp } from "../support/caller.ts"
import { refusing } from "../support/faults.ts"

const { SIGNING_KEY: ours } = parseSettings(env)
const audience = "edgewise-api"

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

const get = async (headers: Record<string, string>, app?: TestApp) =>
  (app ?? (await sharedApp())).fetch("/api/v1/me", { headers })

/** Asserts a refusal that gives nothing away and costs nothing. */
async function expectRefused(answer: Response, challenge = 'Bearer realm="edgewise", error="invalid_token"') {
  expect((await problemIn(answer, 401)).code).toBe("unauthenticated")
  expect(answer.headers.get("www-authenticate")).toBe(challenge)
  expect(answer.headers.get("cache-control")).toBe("no-store")
  expect(costOf(answer)).toEqual({ trips: 0, read: 0, written: 0 })
}

type Token = { header?: object; claims?: object; key?: jose.JWK | Uint8Array; alg?: string }

const valid = () => ({
  iss: "edgewise",
  aud: audience,
  sub: ada.userId,
  sid: newId("session"),
  wsp: ada.workspaceId,
  role: "owner",
  iat: Math.floor(Date.now() / 1_000),
  exp: Math.floor(Date.now() / 1_000) + 600,
})

/** A token as ours would be, but for what is said. */
async function tokenWith({ header = {}, claims = {}, key = ours, alg = "EdDSA" }: Token = {}): Promise<string> {
  const payload = JSON.parse(JSON.stringify({ ...valid(), ...claims })) as jose.JWTPayload
  const secret = key instanceof Uint8Array ? key : await jose.importJWK(key, alg)
  return new jose.SignJWT(payload)
    .setProtectedHeader({ alg, typ: "at+jwt", kid: ours.kid, ...header })
    .sign(secret, { crit: { extension: true } })
}

const newKey = async (kid: string = crypto.randomUUID()) => {
  const { privateKey } = await jose.generateKeyPair("EdDSA", { extractable: true })
  return { ...(await jose.exportJWK(privateKey)), kid }
}

const encoded = (value: unknown) => toBase64Url(utf8(JSON.stringify(value)))

describe("a request that is not authenticated", () => {
  it("is told how, when it carries no credentials", async () => {
    await expectRefused(await get({}), 'Bearer realm="edgewise"')
  })

  it("is refused on every route but those of sign-in, also where there is none", async () => {
    const app = await sharedApp()
    for (const path of ["/tasks", "/tasks/x", "/projects", "/events", "/me", "/auth/sessions", "/nothing"]) {
      await expectRefused(await app.fetch(`/api/v1${path}`), 'Bearer realm="edgewise"')
    }
    const bulk = await app.fetch("/api/v1/tasks/bulk", { method: "POST", body: "{" })
    await expectRefused(bulk, 'Bearer realm="edgewise"')
  })

  const headers: [string, (token: string) => string][] = [
    ["another scheme", (token) => `Basic ${token}`],
    ["no scheme", (token) => token],
    ["a scheme alone", () => "Bearer"],
    ["two tokens", (token) => `Bearer ${token} ${token}`],
    ["garbage", () => "Bearer garbage"],
    ["three parts of garbage", () => "Bearer a.b.c"],
    ["a refresh token", () => `Bearer ${ada.refreshToken}`],
    ["five parts", (token) => `Bearer ${token}.x.y`],
    ["very much text", () => `Bearer ${"x".repeat(7_000)}`],
  ]
  for (const [what, header] of headers) {
    it(`is refused for ${what}`, async () => {
      await expectRefused(await get({ authorization: header(ada.accessToken) }))
    })
  }
})

describe("a token that is not ours", () => {
  const tokens: [string, () => Promise<string>][] = [
    ["alg none", async () => `${encoded({ alg: "none", typ: "at+jwt" })}.${encoded(valid())}.`],
    [
      "alg none, with our key id and a signature",
      async () => {
        const [, , signature] = ada.accessToken.split(".")
        return `${encoded({ alg: "none", typ: "at+jwt", kid: ours.kid })}.${encoded(valid())}.${signature}`
      },
    ],
    ["alg nOnE", async () => `${encoded({ alg: "nOnE", typ: "at+jwt", kid: ours.kid })}.${encoded(valid())}.`],
    ["HS256 with our public key's text as the secret", () => tokenWith({ alg: "HS256", key: utf8(ours.x) })],
    [
      "HS256 with our public key's bytes as the secret",
      () => tokenWith({ alg: "HS256", key: jose.base64url.decode(ours.x) }),
    ],
    [
      "HS256 with our published key as the secret",
      async () => {
        const answer = await (await sharedApp()).fetch("/.well-known/jwks.json")
        return tokenWith({ alg: "HS256", key: utf8(await answer.text()) })
      },
    ],
    ["another key under our key id", async () => tokenWith({ key: await newKey(ours.kid) })],
    [
      "another key under its own id",
      async () => {
        const key = await newKey()
        return tokenWith({ key, header: { kid: key.kid } })
      },
    ],
    [
      "a key that it brings along",
      async () => {
        const { d: _, ...jwk } = await newKey(ours.kid)
        return tokenWith({ key: await newKey(ours.kid), header: { jwk, jku: "https://evil.example/jwks" } })
      },
    ],
    ["another issuer", () => tokenWith({ claims: { iss: "elsewhere" } })],
    ["no issuer", () => tokenWith({ claims: { iss: undefined } })],
    ["another audience", () => tokenWith({ claims: { aud: "another-api" } })],
    ["no audience", () => tokenWith({ claims: { aud: undefined } })],
    ["another type", () => tokenWith({ header: { typ: "JWT" } })],
    ["no type", () => tokenWith({ header: { typ: undefined } })],
    ["an extension that we do not know", () => tokenWith({ header: { crit: ["extension"], extension: 1 } })],
    ["no subject", () => tokenWith({ claims: { sub: undefined } })],
    ["no session", () => tokenWith({ claims: { sid: undefined } })],
    ["no workspace", () => tokenWith({ claims: { wsp: undefined } })],
    ["no role", () => tokenWith({ claims: { role: undefined } })],
    ["no expiry", () => tokenWith({ claims: { exp: undefined } })],
    ["an expiry in words", () => tokenWith({ claims: { exp: "tomorrow" } })],
    ["an expiry in the past", () => tokenWith({ claims: { exp: Math.floor(Date.now() / 1_000) - 1 } })],
    ["a time before which it is not valid", () => tokenWith({ claims: { nbf: Math.floor(Date.now() / 1_000) + 60 } })],
    [
      "a changed payload",
      async () => {
        const [header, , signature] = ada.accessToken.split(".")
        return `${header}.${encoded({ ...jose.decodeJwt(ada.accessToken), wsp: newId("workspace") })}.${signature}`
      },
    ],
    [
      "a changed signature",
      async () => {
        const [header, payload] = ada.accessToken.split(".")
        return `${header}.${payload}.${"A".repeat(86)}`
      },
    ],
    ["no signature", async () => `${ada.accessToken.split(".").slice(0, 2).join(".")}.`],
    ["a short signature", async () => `${ada.accessToken.split(".").slice(0, 2).join(".")}.AAAA`],
    ["a header that is null", async () => `${encoded(null)}.${encoded(valid())}.AAAA`],
    [
      "a key id that is an object",
      async () => `${encoded({ alg: "EdDSA", typ: "at+jwt", kid: {} })}.${encoded(valid())}.${"A".repeat(86)}`,
    ],
    ["an algorithm that is a number", async () => `${encoded({ alg: 1, typ: "at+jwt" })}.${encoded(valid())}.AAAA`],
  ]

  it("would be taken, were it ours", async () => {
    expect((await get({ authorization: `Bearer ${await tokenWith()}` })).status).toBe(200)
  })

  for (const [what, token] of tokens) {
    it(`is refused: ${what}`, async () => {
      await expectRefused(await get({ authorization: `Bearer ${await token()}` }))
    })
  }

  it("is refused by another instance, whose key is another", async () => {
    const elsewhere = { ...env, SIGNING_KEY: JSON.stringify(await newKey()) }
    const app = await openApp({ tokens: (await openInstance(elsewhere)).tokens })
    await expectRefused(await get({ authorization: `Bearer ${ada.accessToken}` }, app))
  })
})

describe("a token of ours", () => {
  it("is refused from the second on in which it expires, whether it was seen before or not", async () => {
    const clock = { at: Date.now() }
    const [seen, unseen] = [await openApp({ now: () => clock.at }), await openApp({ now: () => clock.at })]
    const authorization = `Bearer ${ada.accessToken}`
    const expiry = (jose.decodeJwt(ada.accessToken).exp ?? 0) * 1_000
    expect(expiry).toBeLessThanOrEqual(Date.now() + accessTokenLife)

    clock.at = expiry - 1
    expect((await get({ authorization }, seen)).status).toBe(200)
    clock.at = expiry
    await expectRefused(await get({ authorization }, seen))
    await expectRefused(await get({ authorization }, unseen))
  })

  it("is verified without a database: a route costs its own trips and no more", async () => {
    const fresh = ada.through(await openApp())
    expect(costOf(await fresh.get("/api/v1/me")).trips).toBe(1)
    expect(costOf(await fresh.get("/api/v1/tasks")).trips).toBe(1)
    const creation = await fresh.post("/api/v1/tasks", { projectId: ada.inboxId, title: "Counted" })
    expect(costOf(creation).trips).toBe(1)

    // With no database at all, what fails is the route, not the token.
    const broken = ada.through(await openApp({ database: refusing("D1_ERROR: gone") }))
    await problemIn(await broken.get("/api/v1/me"), 500)
    await expectRefused(await get({ authorization: "Bearer garbage" }, broken.app))
  })

  it("may be announced in any case, with room around it", async () => {
    for (const authorization of [`bearer ${ada.accessToken}`, `BEARER   ${ada.accessToken} `]) {
      expect((await get({ authorization })).status).toBe(200)
    }
  })

  it("opens its own workspace and no other", async () => {
    const eve = await newCaller()
    const task = await newTask(ada)
    await problemIn(await eve.get(`/api/v1/tasks/${task.id}`), 404)
    expect((await ada.get(`/api/v1/tasks/${task.id}`)).status).toBe(200)
  })
})

describe("rotating the signing key", () => {
  const rotated = async () => {
    const next = await newKey()
    const tokens = async (extra: object) =>
      (await openInstance({ ...env, SIGNING_KEY: JSON.stringify(next), ...extra })).tokens
    const during = await openApp({ tokens: await tokens({ PREVIOUS_SIGNING_KEY: JSON.stringify(ours) }) })
    const after = await openApp({ tokens: await tokens({}) })
    return { next, during, after }
  }

  it("lets tokens of the previous key live on until that key is taken away", async () => {
    const { during, after } = await rotated()
    const authorization = `Bearer ${ada.accessToken}`
    expect((await get({ authorization }, during)).status).toBe(200)
    await expectRefused(await get({ authorization }, after))
  })

  it("signs with the new key alone, and sessions outlive it", async () => {
    const { next, during, after } = await rotated()
    const answer = await during.fetch("/api/v1/auth/refresh", {
      method: "POST",
      headers: { "content-type": "application/json", "cf-connecting-ip": "192.0.2.200" },
      body: JSON.stringify({ refreshToken: (await newCaller(during)).refreshToken }),
    })
    const { accessToken } = (await answer.json()) as { accessToken: string }
    expect(jose.decodeProtectedHeader(accessToken)).toEqual({ alg: "EdDSA", typ: "at+jwt", kid: next.kid })
    expect((await get({ authorization: `Bearer ${accessToken}` }, after)).status).toBe(200)
    await expectRefused(await get({ authorization: `Bearer ${accessToken}` }))
  })

  it("publishes both public keys, and nothing private", async () => {
    const { next, during, after } = await rotated()
    const text = await (await during.fetch("/.well-known/jwks.json")).text()
    const { keys } = Jwks.parse(JSON.parse(text))
    expect(keys.map(({ kid, x }) => [kid, x])).toEqual([
      [next.kid, next.x],
      [ours.kid, ours.x],
    ])
    for (const secret of [next.d, ours.d]) expect(text).not.toContain(secret)
    expect(text).not.toContain('"d"')
    expect(Jwks.parse(await (await after.fetch("/.well-known/jwks.json")).json()).keys).toHaveLength(1)
  })

  it("publishes keys that verify what was signed, for anybody", async () => {
    const jwks = await (await (await sharedApp()).fetch("/.well-known/jwks.json")).json()
    const keySet = jose.createLocalJWKSet(jwks as jose.JSONWebKeySet)
    const { payload } = await jose.jwtVerify(ada.accessToken, keySet, { issuer: "edgewise", audience })
    expect(payload.sub).toBe(ada.userId)
  })
})
