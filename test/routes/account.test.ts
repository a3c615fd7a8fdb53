import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { afterEach, describe, expect, it, vi } from "vitest"
import { SignedIn } from "../../src/contracts/auth.ts"
import { Me } from "../../src/contracts/me.ts"
import type { Mail, Message } from "../../src/domain/mail.ts"
import { formatMailToken, type MailPurpose } from "../../src/lib/mail-token.ts"
import { day, minute } from "../../src/lib/time.ts"
import { policies } from "../../src/limits/policies.ts"
import { noMail } from "../../src/mail/no-mail.ts"
import { openApp, type TestApp } from "../support/app.ts"
import {
  type Caller,
  callerOf,
  costOf,
  newAddress,
  newCaller,
  newEmail,
  password,
  pointersIn,
  problemIn,
  sharedApp,
} from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { type Batch, between, losing } from "../support/faults.ts"
import { deadLimiter } from "../support/limiters.ts"

const another = "quite another phrase"

type Init = { app?: TestApp; headers?: Record<string, string> }

/** Without a token, from an address of its own, unless one is given. */
async function ask(method: string, path: string, body: unknown, { app, headers }: Init = {}): Promise<Response> {
  return (app ?? (await sharedApp())).fetch(`/api/v1/auth${path}`, {
    method,
    headers: { "content-type": "application/json", "cf-connecting-ip": newAddress(), ...headers },
    body: JSON.stringify(body),
  })
}

/** The same, and what it left for after the answer is done. */
async function settled(app: TestApp, path: string, body: unknown): Promise<Response> {
  const context = createExecutionContext()
  const request = new Request(`https://edgewise.test/api/v1/auth${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
    body: JSON.stringify(body),
  })
  const answer = await app.hono.fetch(request, env, context)
  await waitOnExecutionContext(context)
  return answer
}

const login = (email: string, given = password, init?: Init) => ask("POST", "/login", { email, password: given }, init)
const refresh = (refreshToken: string) => ask("POST", "/refresh", { refreshToken })
const verify = (token: string, init?: Init) => ask("PUT", "/verification", { token }, init)
const reset = (token: string, chosen = another, init?: Init) =>
  ask("PUT", "/password-reset", { token, password: chosen }, init)
const confirm = (token: string, init?: Init) => ask("PUT", "/email-change", { token }, init)

async function signedIn(email: string, given = password): Promise<Caller> {
  const answer = await login(email, given)
  expect(answer.status).toBe(200)
  return callerOf(await sharedApp(), SignedIn.parse(await answer.json()))
}

const mailsTo = ({ outbox }: TestApp, to: string, kind: Message["kind"]) =>
  outbox.filter((message) => message.to === to && message.kind === kind)

/** The `nth` mail of a kind to an address, which may still be on its way. */
const mailTo = (app: TestApp, to: string, kind: Message["kind"], nth = 1): Promise<Message> =>
  vi.waitFor(() => {
    const message = mailsTo(app, to, kind)[nth - 1]
    if (!message) throw new Error(`No ${kind} to ${to}`)
    return message
  }, 5_000)

const tokenIn = ({ text }: Message) => {
  const token = /#token=([\w.-]+)/.exec(text)?.[1]
  if (!token) throw new Error("A mail without a token")
  return token
}

const tokenTo = async (app: TestApp, to: string, kind: Message["kind"], nth = 1) =>
  tokenIn(await mailTo(app, to, kind, nth))

/** A token for a new password, out of the mail. */
async function resetTokenOf({ app, email }: Caller, nth = 1): Promise<string> {
  expect((await ask("POST", "/password-reset", { email }, { app })).status).toBe(202)
  return tokenTo(app, email, "password_reset", nth)
}

/** A token for another address, out of the mail. */
async function changeTokenOf(caller: Caller, email: string): Promise<string> {
  const answer = await caller.post("/api/v1/auth/email-change", { email, password })
  expect(answer.status, await answer.clone().text()).toBe(202)
  return tokenTo(caller.app, email, "email_change", mailsTo(caller.app, email, "email_change").length)
}

const userOf = async (caller: Caller) => Me.parse(await (await caller.get("/api/v1/me")).json())

const notesOf = async ({ userId }: Caller) =>
  (await rowsOf("select revision, type from user_events where user_id = ? order by revision", userId)).map(
    ({ revision, type }) => `${revision} ${type}`,
  )

const identityOf = ({ userId }: Caller) => rowsOf("select subject, secret from identities where user_id = ?", userId)

const isOfUser = ({ sql }: Batch) => sql.some((text) => text.startsWith('insert into "user_events"'))

async function clockwork() {
  const clock = { at: Date.now() }
  return { clock, app: await openApp({ now: () => clock.at }) }
}

const mailWith = async (part: Partial<Mail>): Promise<Mail> => ({ ...(await sharedApp()).instance.mail, ...part })

/** Tokens that nobody was mailed, or that are worthless by now. */
async function worthless(caller: Caller, purpose: MailPurpose): Promise<[string, string][]> {
  const { instanceKey } = caller.app.instance
  const made = { purpose, userId: caller.userId, expiresAt: Date.now() + minute, email: "" }
  const email = purpose === "change" ? newEmail() : ""
  return [
    ["no token at all", "token"],
    ["one for a session", caller.refreshToken],
    [
      "one of a user who is not there",
      await formatMailToken(instanceKey, { ...made, userId: `usr_${"0".repeat(26)}`, email }, []),
    ],
    ["one of another state", await formatMailToken(instanceKey, { ...made, email }, ["eve@example.com"])],
  ]
}

async function expectRefusal(answer: Response, what: string): Promise<void> {
  expect(await pointersIn(answer), what).toEqual(["/token"])
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe("the mail after registering", () => {
  it("has a link to the configured origin, whatever the request calls its host", async () => {
    const { settings } = (await sharedApp()).instance
    const email = newEmail()
    const headers = { host: "evil.example", "x-forwarded-host": "evil.example", origin: "https://evil.example" }
    const answer = await ask("POST", "/register", { email, password, name: "<b>Ada</b>" }, { headers })
    expect(answer.status).toBe(201)
    const { text, html, subject } = await mailTo(await sharedApp(), email, "verification")
    const [link = ""] = /https?:\S+/.exec(text) ?? []
    expect(link).toMatch(new RegExp(`^${settings.ORIGIN}/verify-email#token=ewv_[\\w.-]+$`))
    expect(html).toContain(`<a href="${link}">${link}</a>`)
    expect(`${subject}${text}${html}`).not.toMatch(/evil|Ada/)
  })

  it("does not keep anybody out when it cannot be sent: the log says so, without token or address", async () => {
    const told = vi.spyOn(console, "error").mockImplementation(() => undefined)
    const sent: Message[] = []
    const mail = await mailWith({
      send: (message) => {
        sent.push(message)
        return Promise.reject(new Error(`No mail to ${message.to}: ${message.text}`))
      },
    })
    const email = newEmail()
    const answer = await settled(await openApp({ mail }), "/register", { email, password, name: "Ada" })
    expect(answer.status).toBe(201)
    expect(sent.map(({ to }) => to)).toEqual([email])
    const [line = "", ...others] = told.mock.calls.flat().map(String)
    expect(others).toEqual([])
    expect(JSON.parse(line)).toMatchObject({
      level: "error",
      task: "mail",
      requestId: answer.headers.get("x-request-id"),
    })
    expect(line).toContain("No mail to")
    expect(line).not.toContain(email)
    expect(line).not.toContain(tokenIn(sent[0] as Message))
  })

  it("is not waited for", async () => {
    const mail = await mailWith({ send: () => new Promise(() => undefined) })
    const app = await openApp({ mail })
    expect((await ask("POST", "/register", { email: newEmail(), password, name: "Ada" }, { app })).status).toBe(201)
  })
})

describe("PUT /auth/verification", () => {
  it("verifies the address, once however often it is asked", async () => {
    const ada = await newCaller()
    expect(await userOf(ada)).toMatchObject({ emailVerified: false, revision: 1 })
    const token = await tokenTo(ada.app, ada.email, "verification")
    const answer = await verify(token)
    expect(answer.status).toBe(204)
    expect(costOf(answer).trips).toBe(2)
    const again = await verify(token)
    expect([again.status, costOf(again).trips]).toEqual([204, 1])
    expect(await userOf(ada)).toMatchObject({ emailVerified: true, revision: 2 })
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.email_verified"])
    expect(SignedIn.parse(await (await login(ada.email)).json()).user.emailVerified).toBe(true)
  })

  it("verifies once when it is asked twice at once, and when the answer of the database is lost", async () => {
    const [ada, eve] = [await newCaller(), await newCaller()]
    const token = await tokenTo(ada.app, ada.email, "verification")
    const answers = await Promise.all([verify(token), verify(token), verify(token)])
    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204])
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.email_verified"])

    const lossy = await openApp({ database: losing("after", 1, isOfUser) })
    expect((await verify(await tokenTo(eve.app, eve.email, "verification"), { app: lossy })).status).toBe(204)
    expect(await notesOf(eve)).toEqual(["1 user.registered", "2 user.email_verified"])
  })

  it("keeps what is changed at the same time", async () => {
    const ada = await newCaller()
    const token = await tokenTo(ada.app, ada.email, "verification")
    const answers = await Promise.all([verify(token), ada.patch("/api/v1/me", { timeZone: "Europe/Berlin" })])
    expect(answers.map(({ status }) => status)).toEqual([204, 200])
    expect(await userOf(ada)).toMatchObject({ emailVerified: true, timeZone: "Europe/Berlin", revision: 3 })
  })

  it("refuses a token that is worthless, expired, or of an address of before", async () => {
    const { app, clock } = await clockwork()
    const ada = await newCaller(app)
    for (const [what, token] of await worthless(ada, "verification")) await expectRefusal(await verify(token), what)
    const token = await tokenTo(app, ada.email, "verification")
    clock.at += 7 * day
    await expectRefusal(await verify(token, { app }), "expired")
    clock.at -= 7 * day
    await expectRefusal(await reset(token, another, { app }), "for another purpose")
    const email = newEmail()
    expect((await confirm(await changeTokenOf(ada, email), { app })).status).toBe(204)
    await expectRefusal(await verify(token, { app }), "of the address of before")
  })
})

describe("POST /auth/verification", () => {
  it("mails another token, and none when the address is verified", async () => {
    const ada = await newCaller()
    const first = await tokenTo(ada.app, ada.email, "verification")
    const answer = await ada.post("/api/v1/auth/verification")
    expect([answer.status, await answer.text()]).toEqual([202, ""])
    expect((await verify(await tokenTo(ada.app, ada.email, "verification", 2))).status).toBe(204)
    expect((await ada.post("/api/v1/auth/verification")).status).toBe(202)
    expect(mailsTo(ada.app, ada.email, "verification")).toHaveLength(2)
    expect((await verify(first)).status).toBe(204)
  })

  it("is limited by user", async () => {
    const ada = await newCaller()
    const { quota } = policies.verificationByUser
    for (let n = 1; n <= quota; n += 1) expect((await ada.post("/api/v1/auth/verification")).status).toBe(202)
    const refusal = await ada.post("/api/v1/auth/verification")
    expect(refusal.headers.get("retry-after")).not.toBeNull()
    expect((await problemIn(refusal, 429)).code).toBe("rate_limited")
  })
})

describe("POST /auth/password-reset", () => {
  it("answers alike, having asked nothing, whether or not there is such an account; only one gets mail", async () => {
    const app = await openApp()
    const ada = await newCaller(app)
    const stranger = newEmail()
    const [known, unknown] = [
      await settled(app, "/password-reset", { email: ` ${ada.email.toUpperCase()}` }),
      await settled(app, "/password-reset", { email: stranger }),
    ]
    for (const answer of [known, unknown]) {
      expect([answer.status, await answer.text(), costOf(answer).trips]).toEqual([202, "", 0])
    }
    expect(mailsTo(app, ada.email, "password_reset")).toHaveLength(1)
    expect(app.outbox.filter(({ to }) => to === stranger)).toEqual([])
  })

  it("is limited by account, wherever it is asked from, and whether or not it exists", async () => {
    for (const email of [(await newCaller()).email, newEmail()]) {
      const { quota } = policies.resetByAccount
      for (let n = 1; n <= quota; n += 1) expect((await ask("POST", "/password-reset", { email })).status).toBe(202)
      await problemIn(await ask("POST", "/password-reset", { email: email.toUpperCase() }), 429)
    }
  })

  it("is limited by address, whatever is asked for", async () => {
    const headers = { "cf-connecting-ip": newAddress() }
    const { quota } = policies.resetByAddress
    for (let n = 1; n <= quota; n += 1) {
      expect((await ask("POST", "/password-reset", { email: newEmail() }, { headers })).status).toBe(202)
    }
    await problemIn(await ask("POST", "/password-reset", { email: newEmail() }, { headers }), 429)
  })

  it("is refused while the limiter does not answer", async () => {
    const app = await openApp({ limiter: deadLimiter })
    await problemIn(await ask("POST", "/password-reset", { email: newEmail() }, { app }), 503)
    await problemIn(await reset("x", another, { app }), 503)
  })
})

describe("PUT /auth/password-reset", () => {
  it("sets the password, ends every session, verifies the address, and tells the owner", async () => {
    const ada = await newCaller()
    const phone = await signedIn(ada.email)
    const token = await resetTokenOf(ada)
    const answer = await reset(token)
    expect([answer.status, costOf(answer).trips]).toEqual([204, 2])

    for (const { refreshToken } of [ada, phone]) await problemIn(await refresh(refreshToken), 401)
    await problemIn(await login(ada.email), 401)
    const back = await signedIn(ada.email, another)
    expect(await userOf(back)).toMatchObject({ emailVerified: true, revision: 2 })
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.password_reset"])
    const notice = await mailTo(ada.app, ada.email, "password_changed")
    expect(notice.text).not.toContain("token")
  })

  it("works once", async () => {
    const ada = await newCaller()
    const token = await resetTokenOf(ada)
    expect((await reset(token)).status).toBe(204)
    await expectRefusal(await reset(token, "a third phrase"), "again")
    expect((await login(ada.email, another)).status).toBe(200)
  })

  it("lets one of two win who use the same token at once", async () => {
    const ada = await newCaller()
    const token = await resetTokenOf(ada)
    const phrases = ["the first phrase", "the second phrase", "the third phrase"]
    const answers = await Promise.all(phrases.map((phrase) => reset(token, phrase)))
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 422, 422])
    const winner = answers.findIndex(({ status }) => status === 204)
    for (const [index, phrase] of phrases.entries()) {
      expect((await login(ada.email, phrase)).status).toBe(index === winner ? 200 : 401)
    }
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.password_reset"])
  })

  it("succeeds once when the answer of the database is lost", async () => {
    const ada = await newCaller()
    const app = await openApp({ database: losing("after", 1, isOfUser) })
    expect((await reset(await resetTokenOf(ada), another, { app })).status).toBe(204)
    expect((await login(ada.email, another)).status).toBe(200)
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.password_reset"])
  })

  it("works for 30 minutes", async () => {
    const { app, clock } = await clockwork()
    const ada = await newCaller(app)
    const [late, inTime] = [await resetTokenOf(ada), await resetTokenOf(ada, 2)]
    clock.at += 30 * minute
    await expectRefusal(await reset(late, another, { app }), "late")
    clock.at -= 1
    expect((await reset(inTime, another, { app })).status).toBe(204)
  })

  it("refuses worthless tokens, and those of a password or an address of before", async () => {
    const ada = await newCaller()
    for (const [what, token] of await worthless(ada, "reset")) await expectRefusal(await reset(token), what)
    const [first, second] = [await resetTokenOf(ada), await resetTokenOf(ada, 2)]
    expect((await reset(second, password)).status).toBe(204)
    // The same password, and still another hash.
    await expectRefusal(await reset(first), "of the password of before")

    const back = await signedIn(ada.email)
    const third = await resetTokenOf(back, 3)
    expect((await confirm(await changeTokenOf(back, newEmail()))).status).toBe(204)
    await expectRefusal(await reset(third), "mailed to the address of before")
  })

  it("holds the password to the same rules as registering does, and the token stays good", async () => {
    const ada = await newCaller()
    const token = await resetTokenOf(ada)
    const before = await identityOf(ada)
    for (const refused of ["", "7 chars", "password", "ｐａｓｓｗｏｒｄ", ada.email.toUpperCase(), "x".repeat(257)]) {
      expect(await pointersIn(await reset(token, refused)), refused).toEqual(["/password"])
    }
    expect(await identityOf(ada)).toEqual(before)
    expect((await refresh(ada.refreshToken)).status).toBe(200)
    expect((await reset(token)).status).toBe(204)
  })

  it("lets nobody stay in who was signing in with the old password meanwhile", async () => {
    const ada = await newCaller()
    const token = await resetTokenOf(ada)
    const { hasher } = ada.app.instance
    const slow = await openApp({
      hasher: {
        ...hasher,
        async verify(given, hash) {
          const isRight = await hasher.verify(given, hash)
          await new Promise((resolve) => setTimeout(resolve, 5))
          expect((await reset(token)).status).toBe(204)
          return isRight
        },
      },
    })
    await problemIn(await login(ada.email, password, { app: slow }), 401)
    const { sessions } = ada.app.instance
    expect(await sessions.list(ada.userId)).toEqual([])
    expect((await login(ada.email, another)).status).toBe(200)
  })

  it("ends the session of whoever signs in with the old password just before it is written", async () => {
    const ada = await newCaller()
    const token = await resetTokenOf(ada)
    let intruder: Response | undefined
    const database = between(async (batch) => {
      if (isOfUser(batch)) intruder ??= await login(ada.email)
      return batch.run()
    })
    expect((await reset(token, another, { app: await openApp({ database }) })).status).toBe(204)
    expect(intruder?.status).toBe(200)
    expect(await ada.app.instance.sessions.list(ada.userId)).toEqual([])
  })

  it("uses nothing up when the sessions cannot be ended", async () => {
    const ada = await newCaller()
    const token = await resetTokenOf(ada)
    const { sessions } = ada.app.instance
    const gone = Object.assign(new Error("gone"), { retryable: true })
    const app = await openApp({ sessions: { ...sessions, endAll: () => Promise.reject(gone) } })
    await problemIn(await reset(token, another, { app }), 503)
    expect((await login(ada.email)).status).toBe(200)
    expect((await reset(token)).status).toBe(204)
  })

  it("is limited by address", async () => {
    const headers = { "cf-connecting-ip": newAddress() }
    for (let n = 1; n <= policies.mailedTokenByAddress.quota; n += 1) {
      expect((await reset("x", another, { headers })).status).toBe(422)
    }
    for (const answer of [
      await reset("x", another, { headers }),
      await verify("x", { headers }),
      await confirm("x", { headers }),
    ]) {
      await problemIn(answer, 429)
    }
  })

  it("logs no token", async () => {
    const ada = await newCaller()
    const token = await resetTokenOf(ada)
    await reset(token)
    await reset(token)
    expect(JSON.stringify(ada.app.lines)).not.toContain(token.slice(0, 60))
  })
})

describe("PUT /auth/password", () => {
  const change = (caller: Caller, body: object) =>
    caller.put("/api/v1/auth/password", { current: password, password: another, ...body })

  it("changes it: the other sessions end, this one stays, and the owner is told", async () => {
    const ada = await newCaller()
    const phone = await signedIn(ada.email)
    const answer = await change(phone, {})
    expect([answer.status, costOf(answer).trips]).toEqual([204, 2])
    await problemIn(await refresh(ada.refreshToken), 401)
    expect((await refresh(phone.refreshToken)).status).toBe(200)
    await problemIn(await login(ada.email), 401)
    expect((await login(ada.email, another)).status).toBe(200)
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.password_changed"])
    expect(await userOf(phone)).toMatchObject({ emailVerified: false })
    await mailTo(ada.app, ada.email, "password_changed")
  })

  it("refuses whoever does not know the present one, and changes nothing", async () => {
    const ada = await newCaller()
    const phone = await signedIn(ada.email)
    const before = await identityOf(ada)
    expect(await pointersIn(await change(phone, { current: "wrong" }))).toEqual(["/current"])
    expect(await pointersIn(await change(phone, { password: "password" }))).toEqual(["/password"])
    expect(await pointersIn(await change(phone, { password: ada.email }))).toEqual(["/password"])
    expect(await identityOf(ada)).toEqual(before)
    expect((await refresh(ada.refreshToken)).status).toBe(200)
  })

  it("lets one of two win who change it at once", async () => {
    const ada = await newCaller()
    const phone = await signedIn(ada.email)
    const answers = await Promise.all([change(ada, { password: "the first phrase" }), change(phone, {})])
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 422])
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.password_changed"])
  })

  it("is limited by user: nobody guesses the present one with a token that was found", async () => {
    const ada = await newCaller()
    for (let n = 1; n <= policies.passwordByUser.quota; n += 1) {
      expect((await change(ada, { current: "wrong" })).status).toBe(422)
    }
    await problemIn(await change(ada, {}), 429)
  })
})

describe("a change of address", () => {
  it("is made by whoever reads mail at the new one, and the old one is told", async () => {
    const ada = await newCaller()
    const email = newEmail()
    const token = await changeTokenOf(ada, email)
    expect(await userOf(ada)).toMatchObject({ email: ada.email })
    const answer = await confirm(token)
    expect([answer.status, costOf(answer).trips]).toEqual([204, 2])

    expect(await userOf(ada)).toMatchObject({ email, emailVerified: true, revision: 2 })
    await problemIn(await login(ada.email), 401)
    expect((await signedIn(email)).userId).toBe(ada.userId)
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.email_changed"])
    expect(await identityOf(ada)).toMatchObject([{ subject: email }])
    const notice = await mailTo(ada.app, ada.email, "email_changed")
    expect(notice.text).not.toMatch(/token|http/)
    await expectRefusal(await confirm(token), "again")
    expect((await ask("POST", "/register", { email: ada.email, password, name: "Eve" })).status).toBe(201)
  })

  it("takes the present password, and another address, and mails nothing before", async () => {
    const ada = await newCaller(await openApp())
    await mailTo(ada.app, ada.email, "verification")
    const mailed = ada.app.outbox.length
    const request = (body: object) => ada.post("/api/v1/auth/email-change", { email: newEmail(), password, ...body })
    expect(await pointersIn(await request({ password: "wrong" }))).toEqual(["/password"])
    expect(await pointersIn(await request({ email: ada.email.toUpperCase() }))).toEqual(["/email"])
    expect(await pointersIn(await request({ email: "nowhere" }))).toEqual(["/email"])
    expect(ada.app.outbox.length).toBe(mailed)
  })

  it("to an address that is taken is told to whoever reads mail there, and to nobody before", async () => {
    const [ada, eve] = [await newCaller(), await newCaller()]
    const token = await changeTokenOf(ada, eve.email)
    const before = [await identityOf(ada), await identityOf(eve)]
    expect((await problemIn(await confirm(token), 409)).detail).toBe("This e-mail address belongs to another account")
    expect([await identityOf(ada), await identityOf(eve)]).toEqual(before)
    expect(await userOf(ada)).toMatchObject({ email: ada.email, emailVerified: false, revision: 1 })
    expect(await notesOf(ada)).toEqual(["1 user.registered"])
    expect(mailsTo(ada.app, ada.email, "email_changed")).toEqual([])
  })

  it("lets one of two accounts win that want the same address at once", async () => {
    const [ada, eve] = [await newCaller(), await newCaller()]
    const email = newEmail()
    const tokens = [await changeTokenOf(ada, email), await changeTokenOf(eve, email)]
    const answers = await Promise.all(tokens.map((token) => confirm(token)))
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409])
    expect(await rowsOf("select user_id from identities where subject = ?", email)).toHaveLength(1)
    expect(await rowsOf("select id from users where email = ?", email)).toHaveLength(1)
  })

  it("is made once by one link that is opened twice at once, or whose answer is lost", async () => {
    const ada = await newCaller()
    const token = await changeTokenOf(ada, newEmail())
    const answers = await Promise.all([confirm(token), confirm(token)])
    expect(answers.map(({ status }) => status)).toContain(204)
    const email = newEmail()
    const app = await openApp({ database: losing("after", 1, isOfUser) })
    expect((await confirm(await changeTokenOf(ada, email), { app })).status).toBe(204)
    expect(await userOf(ada)).toMatchObject({ email, revision: 3 })
    expect(await notesOf(ada)).toEqual(["1 user.registered", "2 user.email_changed", "3 user.email_changed"])
  })

  it("is not made with a token that is worthless, expired, or older than the password or the address", async () => {
    const { app, clock } = await clockwork()
    const ada = await newCaller(app)
    for (const [what, token] of await worthless(ada, "change")) await expectRefusal(await confirm(token), what)
    const [first, second] = [await changeTokenOf(ada, newEmail()), await changeTokenOf(ada, newEmail())]
    clock.at += day
    await expectRefusal(await confirm(first, { app }), "expired")
    clock.at -= day
    expect((await confirm(second, { app })).status).toBe(204)
    await expectRefusal(await confirm(first, { app }), "older than the address")
    const third = await changeTokenOf(ada, newEmail())
    const changed = await ada.put("/api/v1/auth/password", { current: password, password: another })
    expect(changed.status).toBe(204)
    await expectRefusal(await confirm(third, { app }), "older than the password")
  })

  it("is limited by user, so that nobody has mail sent to many", async () => {
    const ada = await newCaller()
    const request = () => ada.post("/api/v1/auth/email-change", { email: newEmail(), password })
    for (let n = 1; n <= policies.emailChangeByUser.quota; n += 1) expect((await request()).status).toBe(202)
    await problemIn(await request(), 429)
  })
})

describe("an account", () => {
  it("is nothing that an API key reaches, whatever its scopes", async () => {
    const ada = await newCaller()
    const made = await ada.post("/api/v1/api-keys", { name: "Key", scopes: ["profile:write"] })
    expect(made.status, await made.clone().text()).toBe(201)
    const { key } = (await made.json()) as { key: string }
    const app = ada.app
    const headers = { "x-api-key": key }
    for (const answer of [
      await ask("POST", "/verification", {}, { app, headers }),
      await ask("PUT", "/password", { current: password, password: another }, { app, headers }),
      await ask("POST", "/email-change", { email: newEmail(), password }, { app, headers }),
    ]) {
      expect((await problemIn(answer, 403)).code).toBe("forbidden")
    }
    expect((await login(ada.email)).status).toBe(200)
  })
})

describe("a deployment that sends no mail", () => {
  it("registers people, and says what it cannot do for them", async () => {
    const told = vi.spyOn(console, "error").mockImplementation(() => undefined)
    const app = await openApp({ mail: noMail })
    const ada = await newCaller(app)
    const detail = "This deployment sends no mail: bind EMAIL and set MAIL_FROM"
    for (const answer of [
      await ask("POST", "/password-reset", { email: ada.email }, { app }),
      await ask("POST", "/password-reset", { email: newEmail() }, { app }),
      await ada.post("/api/v1/auth/verification"),
      await ada.post("/api/v1/auth/email-change", { email: newEmail(), password }),
    ]) {
      expect(await problemIn(answer, 503)).toMatchObject({ code: "unavailable", detail })
    }
    const changed = await ada.put("/api/v1/auth/password", { current: password, password: another })
    expect(changed.status).toBe(204)
    expect(told).not.toHaveBeenCalled()
  })
})
