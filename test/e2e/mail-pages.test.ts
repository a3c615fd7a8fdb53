import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { hasBrowser, startBrowser } from "../support/browser.ts"
import type { Server } from "../support/server.ts"

const password = "a long passphrase"

let server: Server
let browser: Browser

beforeAll(async () => {
  if (hasBrowser) ({ server, browser } = await startBrowser())
})

afterAll(async () => {
  await browser?.close()
  await server?.stop()
})

type Signed = { accessToken: string; user: { emailVerified: boolean; email: string }; workspace: { id: string } }

async function call(method: string, path: string, body?: object, token?: string) {
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: text ? JSON.parse(text) : null }
}

const newEmail = () => `${crypto.randomUUID().slice(0, 8)}@example.com`
const register = async (email = newEmail()): Promise<Signed> =>
  (await call("POST", "/auth/register", { email, password, name: "Ada" })).body
const login = (email: string, secret = password) => call("POST", "/auth/login", { email, password: secret })

/** The link of the newest mail of that kind to somebody. Mail goes out after the answer. */
async function linkTo(email: string, kind: string): Promise<string> {
  for (let tries = 0; tries < 50; tries += 1) {
    const answer = await fetch(`${server.url}/dev/mailbox`, { headers: { accept: "application/json" } })
    const { data } = (await answer.json()) as { data: { to: string; kind: string; text: string }[] }
    const mail = data.find((message) => message.to === email && message.kind === kind)
    const path = /https?:\/\/[^/\s]+(\/\S+#token=\S+)/.exec(mail?.text ?? "")?.[1]
    if (path) return server.url + path
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`No mail of kind ${kind} to ${email}`)
}

/** A page, with every request to another host and everything that it complained of but refusals of the API. */
async function open(link: string): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on("request", (request) => {
    const url = new URL(request.url())
    if (url.origin !== server.url && url.protocol !== "data:") complaints.push(url.href)
    if (request.url().includes("token=") && request.isNavigationRequest() === false) complaints.push(request.url())
  })
  page.on("pageerror", (error) => complaints.push(String(error)))
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) {
      complaints.push(message.text())
    }
  })
  await page.goto(link)
  return { page, complaints }
}

async function told(page: Page, text: string): Promise<void> {
  const status = page.locator("[role=status]")
  try {
    await status.filter({ hasText: text }).waitFor({ timeout: 10_000 })
  } catch {
    throw new Error(`Told ${await status.textContent()} instead of ${text}`)
  }
}

describe.skipIf(!hasBrowser)("the links in mails, in a browser", () => {
  it("confirm an address when the person says so, and not when they are opened", async () => {
    const { accessToken, user } = await register()
    const { page, complaints } = await open(await linkTo(user.email, "verification"))
    await page.getByRole("button", { name: "Confirm" }).waitFor()
    const isVerified = async () => (await call("GET", "/me", undefined, accessToken)).body.emailVerified
    expect(await isVerified()).toBe(false)
    await page.getByRole("button", { name: "Confirm" }).click()
    await told(page, "is confirmed")
    expect(await isVerified()).toBe(true)
    expect(page.url()).toBe(`${server.url}/verify-email`)
    expect(complaints).toEqual([])
  })

  it("give a new password, and say what is wrong with one", async () => {
    const { user } = await register()
    await call("POST", "/auth/password-reset", { email: user.email })
    const { page, complaints } = await open(await linkTo(user.email, "password_reset"))
    await page.getByLabel("Password").fill("password1")
    await page.getByRole("button").click()
    await told(page, "password")
    await page.locator("[role=status].wrong").waitFor()
    await page.getByLabel("Password").fill("quite another passphrase")
    await page.getByRole("button").click()
    await told(page, "Your password is changed")
    expect([(await login(user.email)).status, (await login(user.email, "quite another passphrase")).status]).toEqual([
      401, 200,
    ])
    expect(complaints).toEqual([])
  })

  it("make another address one's own", async () => {
    const { accessToken } = await register()
    const email = newEmail()
    await call("POST", "/auth/email-change", { email, password }, accessToken)
    const { page, complaints } = await open(await linkTo(email, "email_change"))
    await page.getByRole("button", { name: "Confirm" }).click()
    await told(page, "the e-mail address of your account")
    expect((await login(email)).status).toBe(200)
    expect(complaints).toEqual([])
  })

  it("accept an invitation, with an account or with a new one", async () => {
    const host = await register()
    const known = await register()
    const invite = (email: string) => call("POST", "/invitations", { email, role: "member" }, host.accessToken)
    const stranger = newEmail()
    for (const email of [known.user.email, stranger]) expect((await invite(email)).status).toBe(201)

    const first = await open(await linkTo(known.user.email, "invitation"))
    const signIn = first.page.locator("form[data-action=sign-in]")
    await signIn.getByLabel("E-mail address").fill(known.user.email)
    await signIn.getByLabel("Password").fill("the wrong one")
    await signIn.getByRole("button").click()
    await told(first.page, "is wrong")
    await signIn.getByLabel("Password").fill(password)
    await signIn.getByRole("button").click()
    await told(first.page, "You are a member of Ada's workspace now.")

    const second = await open(await linkTo(stranger, "invitation"))
    const form = second.page.locator("form[data-action=register]")
    await form.getByLabel("Name").fill("Eve")
    await form.getByLabel("E-mail address").fill(stranger)
    await form.getByLabel("Password").fill(password)
    await form.getByRole("button").click()
    await told(second.page, "You are a member")

    const members = (await call("GET", "/members", undefined, host.accessToken)).body as { data: { name: string }[] }
    expect(members.data).toHaveLength(3)
    const sessions = await call("GET", "/auth/sessions", undefined, (await login(stranger)).body.accessToken)
    expect((sessions.body as { data: object[] }).data, "the page signed out again").toHaveLength(1)
    expect([...first.complaints, ...second.complaints]).toEqual([])
  })

  it("send nothing where scripts do not run, so that no password gets into an address", async () => {
    const context = await browser.newContext({ javaScriptEnabled: false })
    const page = await context.newPage()
    for (const path of ["/reset-password", "/invitations"]) {
      const answer = await page.goto(`${server.url}${path}#token=x`)
      expect(answer?.headers()["content-security-policy"]).toContain("form-action 'none'")
      expect(await page.locator("form:visible").count()).toBe(0)
      expect(await page.locator("form:not([method=post])").count()).toBe(0)
      expect(await page.locator("noscript").isVisible()).toBe(true)
    }
    await context.close()
  })

  it("say so when they are not complete, or used up", async () => {
    const { page, complaints } = await open(`${server.url}/verify-email`)
    await told(page, "not complete")
    expect(await page.getByRole("button").isVisible()).toBe(false)
    const broken = await open(`${server.url}/confirm-email#token=x`)
    await broken.page.getByRole("button").click()
    await broken.page.locator("[role=status].wrong").waitFor()
    expect(await broken.page.getByRole("button").isEnabled()).toBe(true)
    expect([...complaints, ...broken.complaints]).toEqual([])
  })
})
