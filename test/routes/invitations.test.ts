import { describe, expect, it } from "vitest"
import { SignedIn } from "../../src/contracts/auth.ts"
import {
  InvitationPage,
  Joined,
  ReceivedInvitationPage,
  SentInvitation,
  type SentInvitationView,
} from "../../src/contracts/invitations.ts"
import type { Mail, Message } from "../../src/domain/mail.ts"
import { openApp, type TestApp } from "../support/app.ts"
import {
  type Caller,
  callerOf,
  costOf,
  eventsOf,
  historyOf,
  newAddress,
  newCaller,
  newEmail,
  nextIn,
  password,
  pointersIn,
  problemIn,
  walk,
} from "../support/caller.ts"
import { execute, rowsOf } from "../support/database.ts"
import { between, isCommit, losing } from "../support/faults.ts"
import { joined, signedInTo } from "../support/people.ts"

const path = "/api/v1/invitations"

const inviting = (host: Caller, email: string, role = "member", headers = {}) =>
  host.post(path, { email, role }, headers)

async function sentIn(answer: Response, status = 201): Promise<SentInvitationView> {
  const text = await answer.text()
  expect(answer.status, text).toBe(status)
  expect(text).not.toContain("ewi_")
  return SentInvitation.parse(JSON.parse(text))
}

const invited = async (host: Caller, email: string, role = "member") => sentIn(await inviting(host, email, role))

/** The invitations that went to an address, newest last. */
const mailsTo = ({ outbox }: TestApp, email: string) =>
  outbox.filter(({ kind, to }) => kind === "invitation" && to === email)

const tokenIn = (mail: Message | undefined) => /"token":"([^"]+)"/.exec(mail?.text ?? "")?.[1] ?? ""

/** The token of the newest of them. */
const tokenTo = (app: TestApp, email: string) => tokenIn(mailsTo(app, email).at(-1))

const accepting = (person: Caller, token: string) =>
  person.put(`${path}/acceptance`, { token }, { "cf-connecting-ip": newAddress() })

const acceptingById = (person: Caller, id: string) =>
  person.put(`/api/v1/me/invitations/${id}/acceptance`, undefined, { "cf-connecting-ip": newAddress() })

const joinedIn = async (answer: Response) => {
  const text = await answer.text()
  expect(answer.status, text).toBe(200)
  return Joined.parse(JSON.parse(text))
}

const pendingOf = async (host: Caller) => InvitationPage.parse(await (await host.get(path)).json()).data
const received = async (person: Caller) =>
  ReceivedInvitationPage.parse(await (await person.get("/api/v1/me/invitations")).json()).data

const verify = ({ userId }: Caller) => execute("update users set email_verified_at = 1 where id = ?", userId)

const membershipOf = (host: Caller, person: Caller) =>
  rowsOf<{ role: string; name: string; revision: number; removed_at: number | null }>(
    "select role, name, revision, removed_at from members where workspace_id = ? and user_id = ?",
    host.workspaceId,
    person.userId,
  )

const locatorsOf = (host: Caller, person: Caller) =>
  rowsOf("select 1 as found from memberships where workspace_id = ? and user_id = ?", host.workspaceId, person.userId)

const entriesFor = (email: string) => rowsOf("select invitation_id from invitees where email = ?", email)

const statusOf = async ({ id }: { id: string }) =>
  (await rowsOf<{ status: string }>("select status from invitations where id = ?", id))[0]?.status

/** Somebody invited to a workspace, with the token that they were sent. */
async function newInvitee(role = "member") {
  const host = await newCaller()
  const person = await newCaller()
  const invitation = await invited(host, person.email, role)
  return { host, person, invitation, token: tokenTo(host.app, person.email) }
}

/** Does something in the moment before the first transaction of a kind. */
function justBefore(work: () => Promise<unknown>, isMeant = isCommit) {
  let isDone = false
  return openApp({
    database: between(async (batch) => {
      if (isMeant(batch) && !isDone) {
        isDone = true
        await work()
      }
      return batch.run()
    }),
  })
}

const entersDirectory = ({ sql }: { sql: string[] }) => sql.some((text) => /insert into "memberships"/.test(text))

describe("POST /invitations", () => {
  it("invites an address for a week, with a mail that alone has the token", async () => {
    const host = await newCaller()
    const email = newEmail()
    const answer = await inviting(host, ` ${email.toUpperCase()} `, "guest")
    expect(costOf(answer).trips).toBeLessThanOrEqual(4)
    expect(answer.headers.get("etag")).toBe('"1"')
    const invitation = await sentIn(answer)
    expect(invitation).toMatchObject({
      email,
      role: "guest",
      status: "pending",
      revision: 1,
      createdBy: host.userId,
      mailSent: true,
    })
    expect(Date.parse(invitation.expiresAt) - Date.parse(invitation.createdAt)).toBe(7 * 86_400_000)

    const { mailSent: _mailSent, ...view } = invitation
    expect((await eventsOf(host)).at(-1)).toMatchObject({
      type: "invitation.created",
      subjectId: invitation.id,
      projectId: null,
      data: { before: null, after: view },
    })
    expect(JSON.stringify(await eventsOf(host))).not.toContain("ewi_")

    const [mail, ...others] = mailsTo(host.app, email)
    expect(others).toEqual([])
    const token = tokenTo(host.app, email)
    expect(token).toMatch(/^ewi_wsp_\w{26}\.inv_\w{26}\.1\.[\w-]{43}$/)
    const link = host.app.instance.mail.link(`/invitations#token=${token}`)
    expect(mail).toMatchObject({ kind: "invitation", subject: "Invitation to Ada's workspace" })
    for (const part of [link, "PUT /api/v1/invitations/acceptance", invitation.expiresAt]) {
      expect(mail?.text).toContain(part)
      expect(mail?.html).toContain(part)
    }
  })

  it("puts names into the mail that can look like nothing else", async () => {
    const host = await newCaller()
    await host.patch(`/api/v1/workspaces/${host.workspaceId}`, { name: 'A\r\nBcc: x\n<img src="x">&' })
    const email = newEmail()
    await invited(host, email)
    const mail = mailsTo(host.app, email).at(-1)
    expect(mail?.subject).toBe('Invitation to A Bcc: x <img src="x">&')
    expect(mail?.html).toContain("A Bcc: x &lt;img src=&quot;x&quot;&gt;&amp;")
    expect(mail?.html).not.toContain("<img")
  })

  it("is for owners and admins; only an owner has a say about owners", async () => {
    const host = await newCaller()
    for (const role of ["member", "guest"] as const) {
      const other = await joined(host, role)
      await problemIn(await inviting(other, newEmail()), 403)
      await problemIn(await other.get(path), 403)
    }
    const admin = await joined(host, "admin")
    await problemIn(await inviting(admin, newEmail(), "owner"), 403)
    expect((await invited(admin, newEmail(), "admin")).createdBy).toBe(admin.userId)
    const { id } = await invited(host, newEmail(), "owner")
    await problemIn(await admin.post(`${path}/${id}/mail`), 403)
    await problemIn(await admin.delete(`${path}/${id}`), 403)
    expect((await host.delete(`${path}/${id}`)).status).toBe(204)
  })

  it("is refused to an admin who has been demoted a moment ago", async () => {
    const host = await newCaller()
    const admin = await joined(host, "admin")
    await host.patch(`/api/v1/members/${admin.userId}`, { role: "member" })
    const email = newEmail()
    await problemIn(await inviting(admin, email), 403)
    expect(await entriesFor(email)).toEqual([])
  })

  it("invites an address once, and no member", async () => {
    const host = await newCaller()
    const eve = await joined(host)
    const email = newEmail()
    await invited(host, email)
    for (const address of [email, eve.email, host.email]) {
      const problem = await problemIn(await inviting(host, address), 409)
      expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(["/email"])
    }
    expect(await pendingOf(host)).toHaveLength(1)
    await host.delete(`/api/v1/members/${eve.userId}`)
    await invited(host, eve.email)
  })

  it("says the same about accounts that are no members as about no account", async () => {
    const host = await newCaller()
    const stranger = await newCaller()
    const [theirs, nobodys] = [await invited(host, stranger.email), await invited(host, newEmail())]
    expect(Object.keys(theirs)).toEqual(Object.keys(nobodys))
  })

  it("names the field of what is wrong", async () => {
    const host = await newCaller()
    expect(await pointersIn(await host.post(path, { email: "nobody", role: "king", name: 1 }))).toEqual([
      "/email",
      "/role",
      "/name",
    ])
  })

  it("stands when its mail cannot be sent, says so, and can be sent again", async () => {
    const host = await newCaller()
    const email = newEmail()
    const mail: Mail = { ...host.app.instance.mail, send: () => Promise.reject(new Error("no route")) }
    const silent = host.through(await openApp({ mail }))
    const invitation = await invited(silent, email)
    expect(invitation.mailSent).toBe(false)
    expect(await sentIn(await host.post(`${path}/${invitation.id}/mail`), 200)).toMatchObject({
      revision: 2,
      mailSent: true,
    })
  })

  it("is done once for a key; the repeated answer does not claim to know about the mail", async () => {
    const host = await newCaller()
    const email = newEmail()
    const key = { "idempotency-key": "invite" }
    const first = await sentIn(await inviting(host, email, "member", key))
    const repeat = await inviting(host, email, "member", key)
    expect(repeat.headers.get("idempotency-replayed")).toBe("true")
    expect(await sentIn(repeat)).toEqual({ ...first, mailSent: null })
    expect(mailsTo(host.app, email)).toHaveLength(1)
    expect(await entriesFor(email)).toHaveLength(1)
    const receipts = await rowsOf("select * from receipts where workspace_id = ?", host.workspaceId)
    expect(JSON.stringify(receipts)).not.toContain("ewi_")
  })

  it("by two admins at once invites once", async () => {
    const host = await newCaller()
    const admin = await joined(host, "admin")
    for (let round = 0; round < 4; round += 1) {
      const email = newEmail()
      const answers = await Promise.all([inviting(host, email), inviting(admin, email, "guest")])
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
      const refused = await problemIn(answers.find(({ status }) => status === 409) as Response, 409)
      expect(refused.errors?.map(({ pointer }) => pointer)).toEqual(["/email"])
      expect(await entriesFor(email)).toHaveLength(1)
      expect(mailsTo(host.app, email)).toHaveLength(1)
    }
  })

  it("by another admin in the moment before the commit is a conflict, and leaves no trace", async () => {
    const host = await newCaller()
    const email = newEmail()
    const slow = host.through(await justBefore(() => invited(host, email)))
    await problemIn(await inviting(slow, email), 409)
    expect(await entriesFor(email)).toHaveLength(1)
  })

  it("cut off between directory and workspace has invited nobody; its repeat does", async () => {
    const host = await newCaller()
    const person = await newCaller()
    await verify(person)
    const database = between((batch) => (isCommit(batch) ? Promise.reject(new Error("gone")) : batch.run()))
    const cutOff = await openApp({ database })
    expect((await inviting(host.through(cutOff), person.email)).status).toBe(500)
    expect(cutOff.outbox).toEqual([])
    expect(await entriesFor(person.email)).toHaveLength(1)
    expect([await received(person), await pendingOf(host)]).toEqual([[], []])
    const { id } = await invited(host, person.email)
    expect((await received(person)).map((invitation) => invitation.id)).toEqual([id])
  })

  it("is done once when the answer of its commit is lost", async () => {
    const host = await newCaller()
    const email = newEmail()
    const { id } = await invited(host.through(await openApp({ database: losing("after", 1) })), email)
    expect(await historyOf(host, id)).toEqual(["invitation.created"])
    expect(await entriesFor(email)).toHaveLength(1)
  })

  it("is limited to 50 an hour for one user", async () => {
    const host = await newCaller()
    const email = newEmail()
    await invited(host, email)
    for (let n = 0; n < 49; n += 1) await problemIn(await inviting(host, email), 409)
    await problemIn(await inviting(host, email), 429)
  }, 120_000)
})

describe("GET /invitations", () => {
  it("lists the pending ones, page by page, each in one round trip", async () => {
    const host = await newCaller()
    const all: SentInvitationView[] = []
    for (let n = 0; n < 5; n += 1) all.push(await invited(host, newEmail()))
    const [revoked, ...pending] = all
    await host.delete(`${path}/${revoked?.id}`)
    const answer = await host.get(`${path}?limit=2`)
    expect(costOf(answer).trips).toBe(1)
    expect(nextIn(answer)).not.toBeNull()
    const pages = await walk(host, `${path}?limit=2`)
    expect(pages.map(({ data }) => data.length)).toEqual([2, 2])
    const views = pending.map(({ mailSent: _mailSent, ...view }) => view)
    expect(pages.flatMap(({ data }) => data)).toEqual(views)
    expect(await pendingOf(await newCaller())).toEqual([])
  })

  it("answers 304 until something happens", async () => {
    const host = await newCaller()
    const answer = await host.get(path)
    const known = { "if-none-match": answer.headers.get("etag") ?? "" }
    expect((await host.get(path, known)).status).toBe(304)
    await invited(host, newEmail())
    expect((await host.get(path, known)).status).toBe(200)
  })
})

describe("POST /invitations/:invitationId/mail", () => {
  it("sends a new token for another week; the old one stops working", async () => {
    const { host, person, invitation, token } = await newInvitee()
    const expiresAt = Date.now() - 3_600_000
    await execute("update invitations set expires_at = ? where id = ?", expiresAt, invitation.id)
    const answer = await host.post(`${path}/${invitation.id}/mail`)
    expect(costOf(answer).trips).toBeLessThanOrEqual(2)
    const again = await sentIn(answer, 200)
    expect(again).toMatchObject({ id: invitation.id, revision: 2, mailSent: true })
    expect(Date.parse(again.expiresAt)).toBeGreaterThan(Date.now() + 6 * 86_400_000)
    expect((await eventsOf(host)).at(-1)).toMatchObject({
      type: "invitation.resent",
      data: { before: { expiresAt: new Date(expiresAt).toISOString() }, after: { expiresAt: again.expiresAt } },
    })

    expect((await problemIn(await accepting(person, token), 409)).detail).toContain("sent again")
    const newest = tokenTo(host.app, person.email)
    expect(newest).toContain(".2.")
    await joinedIn(await accepting(person, newest))
  })

  it("is refused at another revision, and where nothing is pending", async () => {
    const { host, invitation } = await newInvitee()
    await problemIn(await host.post(`${path}/${invitation.id}/mail`, undefined, { "if-match": '"7"' }), 412)
    await host.delete(`${path}/${invitation.id}`)
    for (const id of [invitation.id, "inv_01j00000000000000000000000", "x"]) {
      await problemIn(await host.post(`${path}/${id}/mail`), 404)
      await problemIn(await host.delete(`${path}/${id}`), 404)
    }
  })

  it("twice at once makes two tokens, of which the newest works", async () => {
    const { host, person, invitation } = await newInvitee()
    const answers = await Promise.all([1, 2].map(() => host.post(`${path}/${invitation.id}/mail`)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const tokens = mailsTo(host.app, person.email).map(tokenIn)
    const newest = tokens.find((token) => token.includes(".3.")) ?? ""
    const older = tokens.find((token) => token.includes(".2.")) ?? ""
    await problemIn(await accepting(person, older), 409)
    await joinedIn(await accepting(person, newest))
  })
})

describe("DELETE /invitations/:invitationId", () => {
  it("revokes, and the token stops working", async () => {
    const { host, person, invitation, token } = await newInvitee()
    await verify(person)
    const answer = await host.delete(`${path}/${invitation.id}`)
    expect(answer.status).toBe(204)
    expect(costOf(answer).trips).toBeLessThanOrEqual(3)
    expect((await eventsOf(host)).at(-1)).toMatchObject({
      type: "invitation.revoked",
      data: { before: { status: "pending" }, after: { status: "revoked" } },
    })
    expect((await problemIn(await accepting(person, token), 409)).detail).toContain("revoked")
    await problemIn(await acceptingById(person, invitation.id), 404)
    expect([await received(person), await pendingOf(host)]).toEqual([[], []])
    await invited(host, person.email)
  })
})

describe("PUT /invitations/acceptance", () => {
  it("makes a member of somebody who had an account, whatever workspace is active", async () => {
    const { host, person, invitation, token } = await newInvitee("admin")
    const answer = await accepting(person, token)
    expect(costOf(answer).trips).toBeLessThanOrEqual(4)
    expect(await joinedIn(answer)).toEqual({
      workspace: { id: host.workspaceId, name: "Ada's workspace" },
      role: "admin",
    })
    const there = await signedInTo(host, person)
    expect((await there.get("/api/v1/members")).status).toBe(200)
    const [added, accepted] = (await eventsOf(host)).slice(-2)
    expect(added).toMatchObject({
      type: "member.added",
      subjectId: person.userId,
      actorId: person.userId,
      actorRole: "admin",
      revision: 1,
      data: { before: null, after: { name: "Ada", role: "admin" } },
    })
    expect(accepted).toMatchObject({
      type: "invitation.accepted",
      subjectId: invitation.id,
      revision: 2,
      data: { before: { status: "pending" }, after: { status: "accepted" } },
    })
    expect(await pendingOf(host)).toEqual([])
  })

  it("makes a member of somebody who registers first", async () => {
    const host = await newCaller()
    const email = newEmail()
    await invited(host, email, "guest")
    const registered = await host.app.fetch("/api/v1/auth/register", {
      method: "POST",
      headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
      body: JSON.stringify({ email, password, name: "Eve" }),
    })
    const eve = callerOf(host.app, SignedIn.parse(await registered.json()))
    expect(await joinedIn(await accepting(eve, tokenTo(host.app, email)))).toMatchObject({ role: "guest" })
    expect(await membershipOf(host, eve)).toEqual([{ role: "guest", name: "Eve", revision: 1, removed_at: null }])
  })

  it("proves the address", async () => {
    const { person, token } = await newInvitee()
    await joinedIn(await accepting(person, token))
    const [user] = await rowsOf<{ email_verified_at: number; revision: number }>(
      "select email_verified_at, revision from users where id = ?",
      person.userId,
    )
    expect(user?.email_verified_at).toBeGreaterThan(Date.now() - 60_000)
    expect(user?.revision).toBe(2)
    const events = await rowsOf("select type, revision from user_events where user_id = ?", person.userId)
    expect(events).toContainEqual({ type: "user.email_verified", revision: 2 })
  })

  it("gives the same person the same answer again, and nobody else any", async () => {
    const { host, person, invitation, token } = await newInvitee()
    const first = await joinedIn(await accepting(person, token))
    const since = () =>
      rowsOf(
        "select created_at from memberships where user_id = ? and workspace_id = ?",
        person.userId,
        host.workspaceId,
      )
    const before = await since()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await joinedIn(await accepting(person, token))).toEqual(first)
    expect(await since()).toEqual(before)
    expect(await historyOf(host, person.userId)).toEqual(["member.added"])
    expect(await historyOf(host, invitation.id)).toEqual(["invitation.created", "invitation.accepted"])
    const problem = await problemIn(await accepting(await newCaller(), token), 409)
    expect(problem.detail).toContain("another e-mail address")
    expect(JSON.stringify(problem)).not.toContain(person.email)
  })

  it("by somebody else accepts nothing, and proves nothing", async () => {
    const { host, invitation, token } = await newInvitee()
    const stranger = await newCaller()
    await problemIn(await accepting(stranger, token), 409)
    expect(await statusOf(invitation)).toBe("pending")
    expect([await locatorsOf(host, stranger), await membershipOf(host, stranger)]).toEqual([[], []])
    expect(await rowsOf("select email_verified_at from users where id = ?", stranger.userId)).toEqual([
      { email_verified_at: null },
    ])
  })

  it("comes too late after a week", async () => {
    const { person, invitation, token } = await newInvitee()
    await execute("update invitations set expires_at = ? where id = ?", Date.now(), invitation.id)
    expect((await problemIn(await accepting(person, token), 409)).detail).toContain("expired")
  })

  it("refuses what is not a token of this instance", async () => {
    const { person, token } = await newInvitee()
    for (const wrong of ["", "x", token.slice(0, -1), token.replace(".1.", ".2."), `${token}\n`, person.refreshToken]) {
      expect(await pointersIn(await accepting(person, wrong))).toEqual(["/token"])
    }
    expect(await pointersIn(await person.put(`${path}/acceptance`, {}))).toEqual(["/token"])
  })

  it("of a removed member's old invitation is refused; a new one brings them back", async () => {
    const { host, person, token } = await newInvitee("admin")
    await joinedIn(await accepting(person, token))
    await host.delete(`/api/v1/members/${person.userId}`)
    expect((await problemIn(await accepting(person, token), 409)).detail).toContain("accepted already")
    expect(await locatorsOf(host, person)).toEqual([])

    await person.patch("/api/v1/me", { name: "Eve" })
    await invited(host, person.email, "guest")
    await problemIn(await accepting(person, token), 409)
    await joinedIn(await accepting(person, tokenTo(host.app, person.email)))
    expect(await membershipOf(host, person)).toEqual([{ role: "guest", name: "Eve", revision: 3, removed_at: null }])
    expect(await historyOf(host, person.userId)).toEqual(["member.added", "member.removed", "member.added"])
    await signedInTo(host, person)
  })

  it("by a member of another address's making changes no role, and uses the invitation up", async () => {
    const { host, person, invitation, token } = await newInvitee("guest")
    await execute(
      "insert into members (workspace_id, user_id, role, name, revision, created_at, updated_at) values (?, ?, 'admin', 'Eve', 1, 0, 0)",
      host.workspaceId,
      person.userId,
    )
    expect(await joinedIn(await accepting(person, token))).toMatchObject({ role: "admin" })
    expect(await statusOf(invitation)).toBe("accepted")
    expect(await historyOf(host, person.userId)).toEqual([])
    expect(await locatorsOf(host, person)).toHaveLength(1)
  })

  it("of a deleted workspace is refused, also when it is deleted in the moment before the commit", async () => {
    const { host, person, token } = await newInvitee()
    const slow = await justBefore(() => host.delete(`/api/v1/workspaces/${host.workspaceId}`))
    expect((await problemIn(await accepting(person.through(slow), token), 404)).detail).toContain("deleted")
    expect((await problemIn(await accepting(person, token), 404)).detail).toContain("deleted")
    expect([await locatorsOf(host, person), await membershipOf(host, person)]).toEqual([[], []])
  })

  it("twice at once makes one member, with one pair of events", async () => {
    const { host, person, invitation, token } = await newInvitee()
    const answers = await Promise.all(Array.from({ length: 4 }, () => accepting(person, token)))
    for (const answer of answers) await joinedIn(answer)
    expect(await membershipOf(host, person)).toHaveLength(1)
    expect(await historyOf(host, person.userId)).toEqual(["member.added"])
    expect(await historyOf(host, invitation.id)).toEqual(["invitation.created", "invitation.accepted"])
    const events = await rowsOf("select type from user_events where user_id = ? order by revision", person.userId)
    expect(events).toEqual([{ type: "user.registered" }, { type: "user.email_verified" }])
  })

  it("and revoking at once: one of them wins, and the end is consistent", async () => {
    for (let round = 0; round < 4; round += 1) {
      const { host, person, invitation, token } = await newInvitee()
      const [accepted, revoked] = await Promise.all([accepting(person, token), host.delete(`${path}/${invitation.id}`)])
      const isIn = accepted.status === 200
      expect([accepted.status, revoked.status]).toEqual(isIn ? [200, 404] : [409, 204])
      expect(await statusOf(invitation)).toBe(isIn ? "accepted" : "revoked")
      expect(await membershipOf(host, person)).toHaveLength(isIn ? 1 : 0)
      expect(await locatorsOf(host, person)).toHaveLength(isIn ? 1 : 0)
    }
  })

  it("loses to a revocation in the moment before its commit, and leaves no trace", async () => {
    const { host, person, invitation, token } = await newInvitee()
    const slow = await justBefore(() => host.delete(`${path}/${invitation.id}`))
    expect((await problemIn(await accepting(person.through(slow), token), 409)).detail).toContain("revoked")
    expect([await locatorsOf(host, person), await membershipOf(host, person)]).toEqual([[], []])
    expect(await historyOf(host, invitation.id)).toEqual(["invitation.created", "invitation.revoked"])
  })

  it("in the moment before a revocation wins over it", async () => {
    const { host, person, invitation, token } = await newInvitee()
    const slow = await justBefore(() => accepting(person, token))
    await problemIn(await host.through(slow).delete(`${path}/${invitation.id}`), 404)
    expect(await statusOf(invitation)).toBe("accepted")
    expect(await membershipOf(host, person)).toHaveLength(1)
  })

  it("goes on when the user changes in the moment before their address is marked", async () => {
    const { host, person, token } = await newInvitee()
    const slow = await justBefore(() => person.patch("/api/v1/me", { name: "Eve" }), entersDirectory)
    await joinedIn(await accepting(person.through(slow), token))
    expect(await membershipOf(host, person)).toMatchObject([{ name: "Eve" }])
    const [user] = await rowsOf("select revision from users where id = ?", person.userId)
    expect(user).toEqual({ revision: 3 })
  })

  it("cut off between directory and workspace is completed by its repeat", async () => {
    const { host, person, token } = await newInvitee()
    const database = between((batch) => (isCommit(batch) ? Promise.reject(new Error("gone")) : batch.run()))
    const cutOff = person.through(await openApp({ database }))
    expect((await accepting(cutOff, token)).status).toBe(500)
    expect([(await locatorsOf(host, person)).length, await membershipOf(host, person)]).toEqual([1, []])
    await joinedIn(await accepting(person, token))
    expect(await historyOf(host, person.userId)).toEqual(["member.added"])
    await signedInTo(host, person)
  })

  it("is done once when answers are lost, of the directory and of the workspace", async () => {
    for (const database of [losing("after", 1, entersDirectory), losing("after", 1), losing("before", 2)]) {
      const { host, person, token } = await newInvitee()
      await joinedIn(await accepting(person.through(await openApp({ database })), token))
      expect(await historyOf(host, person.userId)).toEqual(["member.added"])
      const events = await rowsOf("select type from user_events where user_id = ?", person.userId)
      expect(events).toHaveLength(2)
    }
  })

  it("is limited to 30 in a quarter of an hour from one address", async () => {
    const person = await newCaller()
    const from = { "cf-connecting-ip": newAddress() }
    const guess = () => person.put(`${path}/acceptance`, { token: "ewi_x" }, from)
    for (let n = 0; n < 30; n += 1) await problemIn(await guess(), 422)
    await problemIn(await guess(), 429)
  }, 120_000)
})

describe("invitations for my address", () => {
  it("are listed and accepted once it is verified, and not before", async () => {
    const { host, person, invitation } = await newInvitee("guest")
    expect(await received(person)).toEqual([])
    await problemIn(await acceptingById(person, invitation.id), 404)
    await verify(person)
    const answer = await person.get("/api/v1/me/invitations")
    expect(costOf(answer).trips).toBeLessThanOrEqual(2)
    expect(await received(person)).toEqual([
      {
        id: invitation.id,
        workspace: { id: host.workspaceId, name: "Ada's workspace" },
        role: "guest",
        expiresAt: invitation.expiresAt,
        createdAt: invitation.createdAt,
      },
    ])
    const accepted = await acceptingById(person, invitation.id)
    expect(costOf(accepted).trips).toBeLessThanOrEqual(5)
    const joined = await joinedIn(accepted)
    expect(joined).toEqual({ workspace: { id: host.workspaceId, name: "Ada's workspace" }, role: "guest" })
    expect(await joinedIn(await acceptingById(person, invitation.id))).toEqual(joined)
    expect(await received(person)).toEqual([])
    expect(await historyOf(host, person.userId)).toEqual(["member.added"])
  })

  it("are accepted whichever mail was the last, and not by anybody else", async () => {
    const { host, person, invitation } = await newInvitee()
    await host.post(`${path}/${invitation.id}/mail`)
    const stranger = await newCaller()
    await Promise.all([verify(person), verify(stranger)])
    await problemIn(await acceptingById(stranger, invitation.id), 404)
    await problemIn(await acceptingById(stranger, "x"), 404)
    await joinedIn(await acceptingById(person, invitation.id))
  })

  it("are those of all workspaces, page by page, without what is expired, revoked or of a deleted workspace", async () => {
    const person = await newCaller()
    await verify(person)
    const hosts = await Promise.all(Array.from({ length: 6 }, () => newCaller()))
    const all = await Promise.all(hosts.map((host) => invited(host, person.email)))
    const [expired, deleted, revoked] = hosts.map((host, index) => ({ host, invitation: all[index] }))
    await execute("update invitations set expires_at = ? where id = ?", Date.now(), expired?.invitation?.id)
    await deleted?.host.delete(`/api/v1/workspaces/${deleted.host.workspaceId}`)
    await revoked?.host.delete(`${path}/${revoked.invitation?.id}`)

    const found: string[] = []
    let cursor: string | null = ""
    for (let pages = 1; cursor !== null; pages += 1) {
      const query: string = cursor && `&cursor=${cursor}`
      const answer = await person.get(`/api/v1/me/invitations?limit=2${query}`)
      const { data, next } = ReceivedInvitationPage.parse(await answer.json())
      found.push(...data.map(({ id }) => id))
      cursor = next
      expect(pages).toBeLessThanOrEqual(3)
    }
    const expected = all.slice(3).map(({ id }) => id)
    expect(found.toSorted()).toEqual(expected.toSorted())
    const places = found.map((id) => hosts[all.findIndex((invitation) => invitation.id === id)]?.workspaceId ?? "")
    expect(places).toEqual(places.toSorted())
    expect(await pointersIn(await person.get("/api/v1/me/invitations?cursor=x"))).toEqual(["?cursor"])
  })
})
