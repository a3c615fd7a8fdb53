import { evictDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { DomainError } from "../../src/domain/errors.ts"
import type { Message } from "../../src/domain/mail.ts"
import { parseSettings } from "../../src/env.ts"
import { cloudflareMail } from "../../src/mail/cloudflare-mail.ts"
import { mailOf } from "../../src/mail/mail.ts"
import { keptAtMost } from "../../src/mail/mailbox.ts"
import { openApp } from "../support/app.ts"
import { problemIn } from "../support/caller.ts"

const message = (part: Partial<Message> = {}): Message => ({
  to: "ada@example.com",
  subject: "Hello",
  text: "Hello, Ada",
  html: "<p>Hello, Ada</p>",
  kind: "verification",
  ...part,
})

const newBox = () => env.MAILBOX.getByName(crypto.randomUUID())

describe("the mailbox", () => {
  it("is empty before the first message", async () => {
    expect(await newBox().list()).toEqual([])
  })

  it("keeps what it gets, newest first, over a restart", async () => {
    const box = newBox()
    await box.keep(message(), 1_000)
    await evictDurableObject(box)
    await box.keep(message({ subject: "Again", kind: "invitation" }), 2_000)
    await evictDurableObject(box)
    expect(await box.list()).toEqual([
      { ...message({ subject: "Again", kind: "invitation" }), id: 2, at: 2_000 },
      { ...message(), id: 1, at: 1_000 },
    ])
  })

  it("keeps the newest 200, whoever writes at once", async () => {
    const box = newBox()
    const numbers = Array.from({ length: keptAtMost + 5 }, (_, n) => n)
    await Promise.all(numbers.map((n) => box.keep(message({ subject: String(n) }), n)))
    const kept = await box.list()
    expect(kept.map(({ id }) => id)).toEqual(Array.from({ length: keptAtMost }, (_, n) => keptAtMost + 5 - n))
  })
})

describe("GET /dev/mailbox", () => {
  it("shows what was mailed, newest first, as JSON for programs", async () => {
    const app = await openApp()
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()]
    await app.instance.mail.send(message({ subject: first }))
    await app.instance.mail.send(message({ subject: second }))
    const answer = await app.fetch("/dev/mailbox", { headers: { accept: "application/json" } })
    expect(answer.headers.get("cache-control")).toBe("no-store")
    const { data } = (await answer.json()) as { data: { subject: string; at: string }[] }
    const mine = data.filter(({ subject }) => subject === first || subject === second)
    expect(mine).toMatchObject([message({ subject: second }), message({ subject: first })])
    expect(mine[0]?.at).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  })

  it("shows people a page with links that can be clicked, and nothing of a message as markup", async () => {
    const app = await openApp()
    const id = crypto.randomUUID()
    const text = `Open http://127.0.0.1:8787/x#token=${id}\n<img src=x> "quoted"`
    await app.instance.mail.send(message({ to: "<b>@example.com", subject: `<script>${id}</script>`, text }))
    const answer = await app.fetch("/dev/mailbox", { headers: { accept: "text/html" } })
    expect(answer.headers.get("content-type")).toMatch(/^text\/html/)
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'")
    const page = await answer.text()
    const link = `http://127.0.0.1:8787/x#token=${id}`
    expect(page).toContain(`<a href="${link}">${link}</a>`)
    expect(page).toContain(`&lt;script&gt;${id}&lt;/script&gt;`)
    expect(page).toContain("&lt;img src=x&gt; &quot;quoted&quot;")
    expect(page).not.toMatch(/<script|<img|<b>/)
  })

  it("is not there in production, like any other unknown path", async () => {
    const { settings } = (await openApp()).instance
    const app = await openApp({ settings: { ...settings, ENVIRONMENT: "production" } })
    for (const method of ["GET", "POST"]) {
      const problem = await problemIn(await app.fetch("/dev/mailbox", { method }), 404)
      expect(problem.detail).toBe("There is nothing at this path")
    }
    const described = (await (await app.fetch("/openapi.json")).json()) as { paths: object }
    expect(Object.keys(described.paths)).not.toContain("/dev/mailbox")
  })
})

describe("who delivers", () => {
  const { EMAIL: _email, ...bindings } = env
  const settingsWith = (part: object) => parseSettings({ ...bindings, ...part })
  const binding = { send: () => Promise.reject(new Error("E_SENDER_NOT_VERIFIED")) } as unknown as SendEmail
  const production = { ENVIRONMENT: "production" }
  const mailed = { ORIGIN: "https://edgewise.example", MAIL_FROM: "Edgewise <mail@edgewise.example>" }
  const now = () => 0

  it("is nobody in production without EMAIL: what is sent is refused", async () => {
    const mail = mailOf({ bindings, settings: settingsWith({ ...production, ...mailed }), now })
    expect(mail.delivers).toBe(false)
    await expect(mail.send(message())).rejects.toMatchObject({
      code: "unavailable",
      message: "This deployment sends no mail: bind EMAIL and set MAIL_FROM",
    })
    expect(() => mail.link("/x")).toThrow(DomainError)
  })

  it("is the mailbox elsewhere, which links to this machine unless told otherwise", () => {
    for (const ENVIRONMENT of ["development", "preview"]) {
      const mail = mailOf({ bindings, settings: settingsWith({ ENVIRONMENT }), now })
      expect([mail.delivers, mail.link("/x")]).toEqual([true, "http://127.0.0.1:8787/x"])
    }
  })

  it("is Cloudflare where EMAIL is bound, from the configured address", async () => {
    const sent: unknown[] = []
    const EMAIL = { send: async (built: unknown) => void sent.push(built) } as unknown as SendEmail
    const settings = settingsWith({ ...production, ...mailed, EMAIL })
    const mail = mailOf({ bindings: { ...bindings, EMAIL }, settings, now })
    await mail.send(message())
    const { kind: _kind, ...built } = message()
    expect(sent).toEqual([{ from: mailed.MAIL_FROM, ...built }])
    expect(mail.link("/x")).toBe("https://edgewise.example/x")
  })

  it("says unavailable when Cloudflare refuses, and keeps the reason for the log", async () => {
    const mail = cloudflareMail({ binding, from: "mail@edgewise.example", origin: "https://edgewise.example" })
    const refusal = await mail.send(message()).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: "unavailable", cause: { message: "E_SENDER_NOT_VERIFIED" } })
  })

  it("is refused as a setting that would send nothing, or link nowhere", () => {
    const wrong: [object, RegExp][] = [
      [{ ...production, EMAIL: binding, ORIGIN: mailed.ORIGIN }, /^MAIL_FROM: must be set where EMAIL is bound$/],
      [{ ...production, EMAIL: binding, MAIL_FROM: mailed.MAIL_FROM }, /^ORIGIN: must be set where EMAIL is bound$/],
      [{ ORIGIN: "https://edgewise.example/" }, /^ORIGIN: /],
      [{ ORIGIN: "https://edgewise.example/app" }, /^ORIGIN: /],
      [{ ORIGIN: "ftp://edgewise.example" }, /^ORIGIN: /],
      [{ ORIGIN: "edgewise.example" }, /^ORIGIN: /],
      [{ MAIL_FROM: "nobody" }, /^MAIL_FROM: /],
      [{ MAIL_FROM: "Eve\r\nBcc: <x@example.com>" }, /^MAIL_FROM: /],
    ]
    for (const [part, told] of wrong) expect(() => settingsWith(part), JSON.stringify(part)).toThrow(told)
  })
})
