import { exports } from "cloudflare:workers"
import { beforeAll, describe, expect, it } from "vitest"
import { Health, Jwks } from "../../src/contracts/health.ts"
import { operationOf } from "../../src/http/contract.ts"
import { type Caller, newCaller, newTask, sharedApp } from "../support/caller.ts"
import { isPostgres } from "../support/database.ts"

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

type Operation = { operationId: string; responses: Record<string, unknown>; security?: unknown[] }
type Document = { openapi: string; paths: Record<string, Record<string, Operation>> }

const documentOf = async () => {
  const answer = await (await sharedApp()).fetch("/openapi.json")
  return { answer, document: (await answer.json()) as Document }
}

describe("GET /openapi.json", () => {
  // Pages for people and the files they load; everything else is the API.
  const pages = new Set(
    ["/", "/docs", "/docs/assets/:name", "/pages/:name"]
      .concat("/verify-email", "/reset-password", "/confirm-email", "/invitations")
      .map((path) => `GET ${path}`),
  )

  it("describes every route that answers", async () => {
    const { document } = await documentOf()
    const { hono } = await sharedApp()
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const routed = new Set(
      hono.routes
        .filter(({ method, path }) => method !== "ALL" && !pages.has(`${method} ${path}`))
        .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`),
    )
    expect(described.toSorted()).toEqual([...routed].toSorted())
    expect(routed.size).toBeGreaterThanOrEqual(27)
  })

  it("has one operation and one contract for every route", async () => {
    const { hono } = await sharedApp()
    const operations = hono.routes
      .filter(({ handler }) => operationOf(handler))
      .map(({ method, path }) => `${method} ${path}`)
    expect(new Set(operations).size).toBe(operations.length)
  })

  it("is shared by caches and answers 304", async () => {
    const { answer, document } = await documentOf()
    expect(document.openapi).toMatch(/^3\.1/)
    expect(answer.headers.get("cache-control")).toContain("public")
    const etag = answer.headers.get("etag") ?? ""
    expect((await (await sharedApp()).fetch("/openapi.json", { headers: { "if-none-match": etag } })).status).toBe(304)
  })

  it("asks for no token where none is needed, and for one elsewhere", async () => {
    const { document } = await documentOf()
    expect(document.paths["/api/v1/auth/login"]?.["post"]?.security).toEqual([])
    expect(document.paths["/api/v1/tasks"]?.["get"]?.security).toBeUndefined()
    expect(document.paths["/api/v1/tasks"]?.["post"]?.responses).toHaveProperty("201")
    expect(document.paths["/api/v1/tasks/{idOrKey}"]?.["delete"]?.responses).toHaveProperty("204")
  })
})

describe("GET /docs", () => {
  it("is a page that loads nothing from elsewhere", async () => {
    const answer = await (await sharedApp()).fetch("/docs")
    const text = await answer.text()
    expect(answer.headers.get("content-type")).toContain("text/html")
    expect(text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
    expect(answer.headers.get("content-security-policy")).toContain("script-src 'self'")
  })

  it("comes with its assets, and none else", async () => {
    const app = await sharedApp()
    const page = await (await app.fetch("/docs")).text()
    for (const name of ["swagger-ui", "swagger-ui-bundle", "reference"]) {
      expect(page).toMatch(new RegExp(`"/docs/assets/${name}\\.[0-9a-f]{10}\\.(?:css|js)"`))
    }
    expect((await app.fetch("/docs/assets/package.json")).status).toBe(404)
    expect((await app.fetch("/", { redirect: "manual" })).headers.get("location")).toBe("/docs")
  })
})

describe("GET /.well-known/jwks.json", () => {
  it("publishes the public key and no private part", async () => {
    const answer = await (await sharedApp()).fetch("/.well-known/jwks.json")
    const body = await answer.text()
    const { keys } = Jwks.parse(JSON.parse(body))
    expect(keys).toHaveLength(1)
    expect(keys[0]).toMatchObject({ kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig" })
    expect(body).not.toContain('"d"')
    expect(answer.headers.get("cache-control")).toContain("public")
  })
})

describe("GET /health", () => {
  it("tells what works, how fast, since when, and which version", async () => {
    const answer = await (await sharedApp()).fetch("/health")
    const health = Health.parse(await answer.json())
    expect(answer.status).toBe(200)
    expect(health.status).toBe("healthy")
    expect(Object.keys(health.checks).sort()).toEqual(["database", "objects", ...(isPostgres ? ["pool"] : [])])
  })
})

describe("the Worker as it is deployed", () => {
  it("answers through its own door", async () => {
    const answer = await exports.default.fetch("https://edgewise.test/health/live")
    expect([answer.status, await answer.json()]).toEqual([200, { status: "alive" }])
  })

  it("serves a whole round: register, create, read", async () => {
    const json = { "content-type": "application/json" }
    const call = (path: string, init: RequestInit) => exports.default.fetch(`https://edgewise.test/api/v1${path}`, init)
    const person = { email: `${crypto.randomUUID()}@example.com`, password: "a long passphrase", name: "Grace" }
    const registered = await call("/auth/register", { method: "POST", headers: json, body: JSON.stringify(person) })
    const { accessToken, workspace } = (await registered.json()) as {
      accessToken: string
      workspace: { inboxId: string }
    }
    const headers = { ...json, authorization: `Bearer ${accessToken}` }
    const body = JSON.stringify({ projectId: workspace.inboxId, title: "Real" })
    const created = await call("/tasks", { method: "POST", headers, body })
    expect(created.status).toBe(201)
    expect((await call(created.headers.get("location")?.replace("/api/v1", "") ?? "", { headers })).status).toBe(200)
  })
})

describe("every answer", () => {
  it("may be read from any origin, without credentials, with the headers that matter", async () => {
    const answer = await ada.get("/api/v1/tasks", { origin: "https://app.example" })
    expect(answer.headers.get("access-control-allow-origin")).toBe("*")
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull()
    const exposed = (answer.headers.get("access-control-expose-headers") ?? "").split(",")
    for (const name of ["ETag", "Location", "Link", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"]) {
      expect(exposed).toContain(name)
    }
  })

  it("that is a file of a page is named after what is in it, and kept for a year", async () => {
    const app = await sharedApp()
    for (const path of ["/docs", "/invitations"]) {
      const page = await (await app.fetch(path)).text()
      const files = [...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)]
        .map(([, file = ""]) => file)
        .filter((file) => file !== "/openapi.json")
      expect(files.length, path).toBeGreaterThanOrEqual(2)
      for (const file of files) {
        expect(file).toMatch(/\.[0-9a-f]{10}\.(?:css|js)$/)
        const answer = await app.fetch(file)
        expect([answer.status, answer.headers.get("cache-control")], file).toEqual([
          200,
          "public, max-age=31536000, immutable",
        ])
        await answer.arrayBuffer()
        const etag = answer.headers.get("etag") ?? ""
        expect((await app.fetch(file, { headers: { "if-none-match": etag } })).status, file).toBe(304)
      }
    }
    for (const path of ["/pages/pages.css", "/docs/assets/reference.js", "/manifest.json", "/_headers"]) {
      expect((await app.fetch(path)).status, path).toBe(404)
    }
  })

  it("is preceded by a preflight that allows what clients send", async () => {
    const answer = await (await sharedApp()).fetch("/api/v1/tasks/x", {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "authorization,content-type,if-match,idempotency-key",
      },
    })
    expect(answer.status).toBe(204)
    expect(answer.headers.get("access-control-allow-methods")).toContain("PATCH")
    expect(answer.headers.get("access-control-allow-headers")).toContain("Idempotency-Key")
  })

  it("cannot be framed or sniffed, and is private unless it is public", async () => {
    const task = await newTask(ada)
    const answer = await ada.get(`/api/v1/tasks/${task.id}`)
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff")
    expect(answer.headers.get("x-frame-options")).toBe("DENY")
    for (const path of ["/pages/a/b", "/pages/none.js", "/docs/x", "/invitations"]) {
      const { headers } = await (await sharedApp()).fetch(path, { method: path === "/invitations" ? "POST" : "GET" })
      expect(headers.get("x-frame-options"), path).toBe("DENY")
      expect(headers.get("content-security-policy"), path).toContain("default-src 'none'")
    }
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'")
    expect(answer.headers.get("cache-control")).toBe("private, no-cache")
    expect(answer.headers.get("x-request-id")).toMatch(/^req_/)
    expect(answer.headers.get("server-timing")).toMatch(
      /^db;dur=\d+;desc="trips=1 read=\d+ written=0", cache;desc="bypass"$/,
    )
  })

  it("keeps answers of sign-in out of every cache", async () => {
    const answer = await (await sharedApp()).fetch("/api/v1/auth/login", {
      method: "POST",
      headers: { "content-type": "application/json", "cf-connecting-ip": "192.0.2.77" },
      body: JSON.stringify({ email: ada.email, password: "a long passphrase" }),
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.get("cache-control")).toBe("no-store")
  })
})

describe("a request without a token", () => {
  it("costs no round trip", async () => {
    const answer = await (await sharedApp()).fetch("/api/v1/tasks")
    expect(answer.headers.get("server-timing")).toContain("trips=0")
  })
})
