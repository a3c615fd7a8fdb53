import { env } from "cloudflare:workers"
import { decodeJwt } from "jose"
import { describe, expect, it } from "vitest"
import { SessionList, SignedIn, Tokens } from "../../src/contracts/auth.ts"
import type { Database } from "../../src/db/engine.ts"
import { parseSettings } from "../../src/env.ts"
import { sessionDirectory } from "../../src/hub/session-directory.ts"
import { grace, idleLife } from "../../src/hub/sessions.ts"
import type { UserHub } from "../../src/hub/user-hub.ts"
import { accessTokenLife } from "../../src/lib/access-token.ts"
import { fromBase64Url } from "../../src/lib/bytes.ts"
import { hmacKey } from "../../src/lib/hmac.ts"
import { newId } from "../../src/lib/ids.ts"
import { type PasswordHasher, scryptHasher } from "../../src/lib/passwords.ts"
import { formatRefreshToken, type RefreshToken } from "../../src/lib/refresh-token.ts"
import { addressKey } from "../../src/limits/limiter.ts"
import { type Policy, policies } from "../../src/limits/policies.ts"
import { openApp, type TestApp } from "../support/app.ts"
import {
  callerOf,
  costOf,
  eventsOf,
  newAddress,
  newCaller,
  newEmail,
  newTask,
  password,
  pointersIn,
  problemIn,
  sharedApp,
} from "../support/caller.ts"
import { execute, rowsOf } from "../support/database.ts"
import { between, failingAt, isCommit, losing } from "../support/faults.ts"
import { deadLimiter } from "../support/limiters.ts"

type Headers = Record<string, string>

/** Posts from an address of its own, unless one is given. */
async function post(path: string, body: unknown, app?: TestApp, headers: Headers = {}): Promise<Response> {
  return (app ?? (await sharedApp())).fetch(`/api/v1/auth${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "cf-connecting-ip": newAddress(), ...headers },
    body: JSON.stringify(body),
  })
}

const register = (input: object = {}, app?: TestApp, headers?: Headers) =>
  post("/register", { email: newEmail(), password, name: "Ada", ...input }, app, headers)

/** What is left of each limit, without what says the same for older clients. */
const limitIn = ({ headers }: Pick<Response, "headers">) =>
  headers.get("ratelimit")?.replaceAll(/;limit=\d+;remaining=\d+;reset=\d+/g, "")

const login = (input: { email: string; password?: string }, app?: TestApp, headers?: Headers) =>
  post("/login", { password, ...input }, app, headers)

const refresh = (refreshToken: string, app?: TestApp, headers?: Headers) =>
  post("/refresh", { refreshToken }, app, headers)

async function signedIn(answer: Response, status = 200) {
  const text = await answer.text()
  expect(answer.status, text).toBe(status)
  return SignedIn.parse(JSON.parse(text))
}

async function refreshed(answer: Response) {
  const text = await answer.text()
  expect(answer.status, text).toBe(200)
  return Tokens.parse(JSON.parse(text))
}

const secretOf = async (email: string): Promise<string> => {
  const [row] = await rowsOf("select secret from identities where subject = ?", email)
  return String(row?.["secret"])
}

/** A hasher that tells what it was asked. */
function counted(hasher: PasswordHasher) {
  const calls: string[] = []
  const counting: PasswordHasher = {
    ...hasher,
    hash: (text) => {
      calls.push("hash")
      return hasher.hash(text)
    },
    verify: (text, hash) => {
      calls.push("verify")
      return hasher.verify(text, hash)
    },
    pretend: (text) => {
      calls.push("pretend")
      return hasher.pretend(text)
    },
  }
  return { calls, hasher: counting }
}

const instanceKey = async () => hmacKey(fromBase64Url(parseSettings(env).INSTANCE_KEY) ?? new Uint8Array())

/** An app whose clock can be moved, and which tells the users whose objects it addresses. */
async function openClockwork(at = Date.now()) {
  const clock = { at }
  const now = () => clock.at
  const addressed: string[] = []
  const hubs = {
    getByName: (name: string) => {
      addressed.push(name)
      return env.USER_HUB.getByName(name)
    },
  } as unknown as DurableObjectNamespace<UserHub>
  const app = await openApp({ now, sessions: sessionDirectory({ hubs, instanceKey: await instanceKey(), now }) })
  return { app, clock, addressed }
}

/** A database that lets no commit through before `count` of them have come. */
function meeting(count: number): Database {
  let waiting = 0
  const { promise: all, resolve: open } = Promise.withResolvers<void>()
  return between(async (batch) => {
    if (isCommit(batch)) {
      waiting += 1
      if (waiting === count) open()
      await all
    }
    return batch.run()
  })
}

/** Everything that the first commit of a user's workspace writes. */
async function foundationOf(userId: string) {
  const [membership] = await rowsOf("select workspace_id from memberships where user_id = ?", userId)
  const workspaceId = String(membership?.["workspace_id"])
  const [heads, members, projects, events] = await Promise.all([
    rowsOf("select seq from heads where workspace_id = ?", workspaceId),
    rowsOf("select user_id, role, name, revision from members where workspace_id = ?", workspaceId),
    rowsOf(
      "select key, name, case when is_inbox then 1 else 0 end as is_inbox from projects where workspace_id = ?",
      workspaceId,
    ),
    rowsOf("select seq, type from events where workspace_id = ? order by seq", workspaceId),
  ])
  return { heads, members, projects, events }
}

const founded = (userId: string) => ({
  heads: [{ seq: 3 }],
  members: [{ user_id: userId, role: "owner", name: "Ada", revision: 1 }],
  projects: [{ key: "INBOX", name: "Inbox", is_inbox: 1 }],
  events: [
    { seq: 1, type: "workspace.created" },
    { seq: 2, type: "member.added" },
    { seq: 3, type: "project.created" },
  ],
})

const userIdOf = async (email: string) => {
  const [row] = await rowsOf("select user_id from identities where subject = ?", email)
  return String(row?.["user_id"])
}

describe("POST /auth/register", () => {
  it("makes a user with a workspace and an Inbox, and signs them in", async () => {
    const email = newEmail()
    const answer = await signedIn(await register({ email, name: "  Ada Lovelace " }), 201)
    expect(answer.user).toMatchObject({ email, name: "Ada Lovelace", timeZone: "UTC", revision: 1 })
    expect(answer.workspace.name).toBe("Ada Lovelace's workspace")
    expect(answer.expiresIn).toBe(600)

    const ada = callerOf(await sharedApp(), answer)
    const inbox = await ada.get(`/api/v1/projects/${answer.workspace.inboxId}`)
    expect(await inbox.json()).toMatchObject({ name: "Inbox", key: "INBOX", isInbox: true })
    expect((await newTask(ada)).key).toBe("INBOX-1")
    expect(decodeJwt(answer.accessToken)).toMatchObject({
      sub: answer.user.id,
      wsp: answer.workspace.id,
      role: "owner",
    })
  })

  it("begins the workspace's log with its owner and their Inbox", async () => {
    const ada = await newCaller()
    const [workspace, member, project] = await eventsOf(ada)
    expect(workspace).toMatchObject({ seq: 1, type: "workspace.created", subjectId: ada.workspaceId })
    expect(member).toMatchObject({
      seq: 2,
      type: "member.added",
      subjectId: ada.userId,
      actorId: ada.userId,
      actorRole: "owner",
      data: { before: null, after: { name: "Ada", role: "owner" } },
    })
    expect(project).toMatchObject({ seq: 3, type: "project.created", subjectId: ada.inboxId, subjectKey: "INBOX" })
    expect(await foundationOf(ada.userId)).toEqual(founded(ada.userId))
  })

  it("notes the registration outside the workspace, without a word of what was sent", async () => {
    const ada = await newCaller()
    const notes = await rowsOf(
      "select revision, type, cast(data as text) as data from user_events where user_id = ?",
      ada.userId,
    )
    expect(notes).toEqual([{ revision: 1, type: "user.registered", data: "{}" }])
  })

  it("keeps a hash in PHC form, which only the password fits", async () => {
    const ada = await newCaller()
    const secret = await secretOf(ada.email)
    expect(secret).toMatch(/^\$scrypt\$ln=\d+,r=\d+,p=\d+\$[\w-]{22}\$[\w-]{43}$/)
    expect(await scryptHasher().verify(password, secret)).toBe(true)
    expect(await scryptHasher().verify(`${password} `, secret)).toBe(false)
  })

  it("takes passwords of 8 to 256 characters, counted as people count them", async () => {
    for (const accepted of ["9 ch4rs!!", "🔑🗝️🚪🏠🌍🌙⭐", "é".repeat(256), "🔑".repeat(256), "        "]) {
      expect((await register({ password: accepted })).status, accepted).toBe(201)
    }
    for (const refused of ["", "7 chars", "🔑".repeat(7), "x".repeat(257), "🔑".repeat(257)]) {
      expect(await pointersIn(await register({ password: refused })), refused).toEqual(["/password"])
    }
  })

  it("refuses the most common passwords, however they are typed", async () => {
    for (const common of ["password", "PassWord", "qwertyuiop", "ｐａｓｓｗｏｒｄ"]) {
      expect(await pointersIn(await register({ password: common })), common).toEqual(["/password"])
    }
  })

  it("refuses the e-mail address as password, in any case", async () => {
    const email = newEmail()
    for (const same of [email, email.toUpperCase()]) {
      expect(await pointersIn(await register({ email: email.replace("p", "P"), password: same }))).toEqual([
        "/password",
      ])
    }
  })

  const wrong: [string, object, string[]][] = [
    ["an e-mail address without a domain", { email: "ada" }, ["/email"]],
    ["an e-mail address of 255 characters", { email: `${"a".repeat(243)}@example.com` }, ["/email"]],
    ["an e-mail address with a space", { email: "a da@example.com" }, ["/email"]],
    ["an e-mail address with NUL", { email: "ada\0@example.com" }, ["/email"]],
    ["no e-mail address", { email: undefined }, ["/email"]],
    ["no password", { password: undefined }, ["/password"]],
    ["a password that is a number", { password: 1_234_567_890 }, ["/password"]],
    ["a password with NUL", { password: "nine char\0" }, ["/password"]],
    ["a password with half a surrogate pair", { password: "nine char\ud800" }, ["/password"]],
    ["no name", { name: undefined }, ["/name"]],
    ["a blank name", { name: " \n " }, ["/name"]],
    ["a name of 101 characters", { name: "x".repeat(101) }, ["/name"]],
    ["an unknown field", { role: "owner" }, ["/role"]],
    ["several at once", { email: 1, name: null, "a/b~": 1 }, ["/email", "/name", "/a~1b~0"]],
  ]
  for (const [what, input, pointers] of wrong) {
    it(`names the field: ${what}`, async () => {
      expect((await pointersIn(await register(input))).sort()).toEqual(pointers.sort())
    })
  }

  it("refuses an address that is taken, in any case, and changes nothing", async () => {
    const ada = await newCaller()
    const secret = await secretOf(ada.email)
    for (const email of [ada.email, ada.email.toUpperCase(), ` ${ada.email} `]) {
      const problem = await problemIn(await register({ email, password: "another passphrase" }), 409)
      expect(problem).toMatchObject({ code: "conflict", errors: [{ pointer: "/email" }] })
    }
    expect(await secretOf(ada.email)).toBe(secret)
    expect(await rowsOf("select id from users where email = ?", ada.email)).toHaveLength(1)
  })

  it("spends the same hash on an address that is taken", async () => {
    const ada = await newCaller()
    const { calls, hasher } = counted(scryptHasher({ cost: { ln: 1, r: 1, p: 1 } }))
    const app = await openApp({ hasher })
    expect((await register({ email: ada.email }, app)).status).toBe(409)
    expect((await register({}, app)).status).toBe(201)
    expect(calls).toEqual(["hash", "hash"])
  })

  it("lets one of two win who want the same address at once", async () => {
    const email = newEmail()
    const answers = await Promise.all([register({ email }), register({ email })])
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
    expect(await rowsOf("select id from users where email = ?", email)).toHaveLength(1)
  })

  it("succeeds once when the directory's answer is lost", async () => {
    let attempts = 0
    const lossy = losing("after", 1, ({ sql }) => {
      const isMeant = sql.some((text) => text.startsWith('insert into "identities"'))
      attempts += Number(isMeant)
      return isMeant
    })
    const { user } = await signedIn(await register({}, await openApp({ database: lossy })), 201)
    expect(attempts).toBe(2)
    expect(await foundationOf(user.id)).toEqual(founded(user.id))
  })

  it("costs two round trips: the directory, then the workspace", async () => {
    expect(costOf(await register()).trips).toBe(2)
  })
})

describe("a registration that broke between directory and workspace", () => {
  const halfRegistered = async () => {
    const email = newEmail()
    await problemIn(await register({ email }, await openApp({ database: failingAt(0) })), 500)
    const userId = await userIdOf(email)
    expect(await foundationOf(userId)).toEqual({ heads: [], members: [], projects: [], events: [] })
    return { email, userId }
  }

  it("is complete after the first login", async () => {
    const { email, userId } = await halfRegistered()
    const answer = await signedIn(await login({ email }))
    expect(answer.user.id).toBe(userId)
    expect(await foundationOf(userId)).toEqual(founded(userId))

    const ada = callerOf(await sharedApp(), answer)
    expect((await newTask(ada)).key).toBe("INBOX-1")
    await signedIn(await login({ email }))
    expect((await foundationOf(userId)).events).toHaveLength(4)
  })

  it("is completed once by two logins at once", async () => {
    const { email, userId } = await halfRegistered()
    const app = await openApp({ database: meeting(2) })
    const answers = await Promise.all([login({ email }, app), login({ email }, app)])
    for (const answer of answers) expect((await signedIn(answer)).user.id).toBe(userId)
    expect(await foundationOf(userId)).toEqual(founded(userId))
  })

  it("keeps its address: registering again is refused", async () => {
    const { email } = await halfRegistered()
    await problemIn(await register({ email }), 409)
  })
})

describe("POST /auth/login", () => {
  it("opens a session of its own for whoever knows the password, however the address is typed", async () => {
    const ada = await newCaller()
    const answer = await signedIn(await login({ email: ` ${ada.email.toUpperCase()}` }))
    expect(answer).toMatchObject({ user: { id: ada.userId }, workspace: { id: ada.workspaceId, inboxId: ada.inboxId } })
    expect(decodeJwt(answer.accessToken)["sid"]).not.toBe(decodeJwt(ada.accessToken)["sid"])
    expect((await callerOf(ada.app, answer).get("/api/v1/me")).status).toBe(200)
  })

  it("answers a wrong password and an unknown address alike, after one hash each", async () => {
    const ada = await newCaller()
    const { calls, hasher } = counted(scryptHasher({ cost: { ln: 1, r: 1, p: 1 } }))
    const app = await openApp({ hasher })
    const [wrong, unknown] = [
      await login({ email: ada.email, password: "wrong" }, app),
      await login({ email: newEmail() }, app),
    ]
    expect(calls).toEqual(["verify", "pretend"])
    expect([wrong.status, unknown.status]).toEqual([401, 401])
    expect(wrong.headers.get("www-authenticate")).toBe('Bearer realm="edgewise"')
    expect([...wrong.headers.keys()]).toEqual([...unknown.headers.keys()])
    const text = async (answer: Response) => (await answer.text()).replace(/req_[0-9a-z]{26}/, "")
    const [first, second] = [await text(wrong), await text(unknown)]
    expect(first).toBe(second)
    expect(JSON.parse(first)).toMatchObject({ code: "unauthenticated" })
  })

  it("does not judge what is sent: any text is a wrong password", async () => {
    const ada = await newCaller()
    for (const text of ["", "\0", "\ud800", "🔑".repeat(512)]) {
      await problemIn(await login({ email: ada.email, password: text }), 401)
    }
    expect(await pointersIn(await login({ email: ada.email, password: "x".repeat(1_025) }))).toEqual(["/password"])
  })

  it("brings an outdated hash up to date, once", async () => {
    const ada = await newCaller()
    const before = await secretOf(ada.email)
    const { calls, hasher } = counted(scryptHasher({ cost: { ln: 2, r: 1, p: 1 } }))
    const app = await openApp({ hasher })
    await problemIn(await login({ email: ada.email, password: "wrong" }, app), 401)
    expect(await secretOf(ada.email)).toBe(before)

    await signedIn(await login({ email: ada.email }, app))
    const after = await secretOf(ada.email)
    expect(after).toMatch(/^\$scrypt\$ln=2,r=1,p=1\$/)
    await signedIn(await login({ email: ada.email }, app))
    expect(await secretOf(ada.email)).toBe(after)
    expect(calls).toEqual(["verify", "verify", "hash", "verify"])
  })

  it("costs two round trips, and one when it is refused", async () => {
    const ada = await newCaller()
    expect(costOf(await login({ email: ada.email }))).toMatchObject({ trips: 2, written: 0 })
    expect(costOf(await login({ email: ada.email, password: "wrong" })).trips).toBe(1)
    expect(costOf(await login({ email: newEmail() })).trips).toBe(1)
  })

  const rename = (userId: string) => execute("update users set name = 'Grace', revision = 2 where id = ?", userId)

  it("gives the workspace the name that the directory has", async () => {
    const ada = await newCaller()
    await rename(ada.userId)
    expect((await signedIn(await login({ email: ada.email }))).user.name).toBe("Grace")
    expect((await foundationOf(ada.userId)).members).toMatchObject([{ name: "Grace", revision: 2 }])
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "member.updated",
      subjectId: ada.userId,
      revision: 2,
      data: { before: { name: "Ada" }, after: { name: "Grace" } },
    })
    expect(costOf(await login({ email: ada.email })).trips).toBe(2)
  })

  it("does so once when two sign in at once, and lets both in", async () => {
    const ada = await newCaller()
    await rename(ada.userId)
    const app = await openApp({ database: meeting(2) })
    const answers = await Promise.all([login({ email: ada.email }, app), login({ email: ada.email }, app)])
    for (const answer of answers) await signedIn(answer)
    expect((await eventsOf(ada)).filter(({ type }) => type === "member.updated")).toHaveLength(1)
  })

  it("does not let somebody back who was removed, and gives them a workspace of their own instead", async () => {
    const ada = await newCaller()
    await execute("update members set removed_at = 1 where workspace_id = ?", ada.workspaceId)
    const { workspace } = await signedIn(await login({ email: ada.email }))
    expect(workspace.id).not.toBe(ada.workspaceId)
    expect(await rowsOf("select removed_at from members where workspace_id = ?", ada.workspaceId)).toEqual([
      { removed_at: 1 },
    ])
    const again = await signedIn(await login({ email: ada.email }))
    expect(again.workspace).toEqual(workspace)
    await problemIn(await refresh(ada.refreshToken), 401)
  })

  it("names the field of what is wrong", async () => {
    expect(await pointersIn(await post("/login", { email: "ada", password: 1, otp: "1" }))).toEqual([
      "/email",
      "/password",
      "/otp",
    ])
  })

  it("gives the role that the workspace has for the user now", async () => {
    const ada = await newCaller()
    await execute("update members set role = 'member' where workspace_id = ?", ada.workspaceId)
    expect(decodeJwt((await signedIn(await login({ email: ada.email }))).accessToken)["role"]).toBe("member")
  })
})

describe("POST /auth/refresh", () => {
  it("gives the next pair, of the same session", async () => {
    const ada = await newCaller()
    const answer = await refresh(ada.refreshToken)
    expect(costOf(answer).trips).toBe(1)
    const next = await refreshed(answer)
    expect(next.refreshToken).not.toBe(ada.refreshToken)
    expect(next.expiresIn).toBe(600)
    expect(decodeJwt(next.accessToken)).toMatchObject({ sub: ada.userId, sid: decodeJwt(ada.accessToken)["sid"] })
    await refreshed(await refresh(next.refreshToken))
  })

  it("gives the same next token again within grace: a second tab, a lost answer", async () => {
    const { app, clock } = await openClockwork()
    const ada = await newCaller(app)
    const [one, two] = await Promise.all([refresh(ada.refreshToken, app), refresh(ada.refreshToken, app)])
    const { refreshToken } = await refreshed(one)
    expect((await refreshed(two)).refreshToken).toBe(refreshToken)

    clock.at += grace
    expect((await refreshed(await refresh(ada.refreshToken, app))).refreshToken).toBe(refreshToken)
    await refreshed(await refresh(refreshToken, app))
  })

  it("revokes the session when an old token comes after its successor was used", async () => {
    const { app } = await openClockwork()
    const ada = await newCaller(app)
    const second = await refreshed(await refresh(ada.refreshToken, app))
    const third = await refreshed(await refresh(second.refreshToken, app))
    await problemIn(await refresh(ada.refreshToken, app), 401)
    await problemIn(await refresh(third.refreshToken, app), 401)
  })

  it("revokes the session when an old token comes after grace", async () => {
    const { app, clock } = await openClockwork()
    const ada = await newCaller(app)
    const second = await refreshed(await refresh(ada.refreshToken, app))
    clock.at += grace + 1
    await problemIn(await refresh(ada.refreshToken, app), 401)
    await problemIn(await refresh(second.refreshToken, app), 401)
    await signedIn(await login({ email: ada.email }, app))
  })

  it("refuses a session that has expired", async () => {
    const { app, clock } = await openClockwork()
    const ada = await newCaller(app)
    clock.at += idleLife - 1
    const { refreshToken } = await refreshed(await refresh(ada.refreshToken, app))
    clock.at += idleLife
    const problem = await problemIn(await refresh(refreshToken, app), 401)
    expect(problem.code).toBe("unauthenticated")
  })

  it("reads the role anew, and refuses who is no member any more", async () => {
    const ada = await newCaller()
    await execute("update members set role = 'guest' where workspace_id = ?", ada.workspaceId)
    const next = await refreshed(await refresh(ada.refreshToken))
    expect(decodeJwt(next.accessToken)["role"]).toBe("guest")
    await execute("delete from members where workspace_id = ?", ada.workspaceId)
    await problemIn(await refresh(next.refreshToken), 401)
  })

  it("refuses what this instance did not make, and addresses no object for it", async () => {
    const { app, addressed } = await openClockwork()
    const ada = await newCaller(app)
    const forged = (part: Partial<RefreshToken>, key: CryptoKey) =>
      formatRefreshToken(key, {
        userId: ada.userId,
        sessionId: newId("session"),
        generation: 1,
        secret: "x".repeat(43),
        ...part,
      })
    const foreignKey = await hmacKey(crypto.getRandomValues(new Uint8Array(32)))
    const parts = ada.refreshToken.split(".")
    const tokens = [
      "",
      "garbage",
      ada.accessToken.slice(0, 512),
      await forged({}, foreignKey),
      await forged({ userId: newId("user") }, foreignKey),
      [...parts.slice(0, 2), "2", ...parts.slice(3)].join("."),
      [...parts.slice(0, 3), "x".repeat(43), ...parts.slice(4)].join("."),
      [...parts.slice(0, 4), "x".repeat(43)].join("."),
      ada.refreshToken.replace(ada.userId, newId("user")),
      ada.refreshToken.slice(0, -1),
      `${ada.refreshToken}x`,
    ]
    addressed.length = 0
    for (const token of tokens) {
      const answer = await refresh(token, app)
      expect((await problemIn(answer, 401)).code, token).toBe("unauthenticated")
      expect(costOf(answer).trips).toBe(0)
      expect((await post("/logout", { refreshToken: token }, app)).status, token).toBe(204)
    }
    expect(addressed).toEqual([])

    // With our key the object is asked, and knows no such session; the real one is none the worse.
    await problemIn(await refresh(await forged({}, await instanceKey()), app), 401)
    expect(addressed).toEqual([ada.userId])
    await refreshed(await refresh(ada.refreshToken, app))
  })

  it("names the field of what is wrong", async () => {
    expect(await pointersIn(await post("/refresh", {}))).toEqual(["/refreshToken"])
    expect(await pointersIn(await post("/refresh", { refreshToken: 1, x: 1 }))).toEqual(["/refreshToken", "/x"])
    expect(await pointersIn(await refresh("x".repeat(513)))).toEqual(["/refreshToken"])
  })
})

describe("POST /auth/logout", () => {
  it("ends the session of the access token, with or without a body", async () => {
    for (const body of [undefined, {}]) {
      const ada = await newCaller()
      const answer = await ada.post("/api/v1/auth/logout", body)
      expect([answer.status, await answer.text()]).toEqual([204, ""])
      await problemIn(await refresh(ada.refreshToken), 401)
    }
  })

  it("ends the session of the refresh token, though the access token has expired", async () => {
    const { app, clock } = await openClockwork()
    const ada = await newCaller(app)
    clock.at += accessTokenLife
    expect((await post("/logout", { refreshToken: ada.refreshToken }, app)).status).toBe(204)
    await problemIn(await refresh(ada.refreshToken, app), 401)
  })

  it("ends no other session", async () => {
    const ada = await newCaller()
    const elsewhere = await signedIn(await login({ email: ada.email }))
    await ada.post("/api/v1/auth/logout")
    await refreshed(await refresh(elsewhere.refreshToken))
  })

  it("may be asked twice", async () => {
    const ada = await newCaller()
    for (const body of [undefined, undefined, { refreshToken: ada.refreshToken }]) {
      expect((await ada.post("/api/v1/auth/logout", body)).status).toBe(204)
    }
  })

  it("is refused to those who name no session", async () => {
    const { app, clock } = await openClockwork()
    const ada = await newCaller(app)
    expect((await post("/logout", {}, app)).headers.get("www-authenticate")).toMatch(/^Bearer/)
    await problemIn(await post("/logout", {}, app), 401)
    await problemIn(await post("/logout", {}, app, { authorization: "Bearer garbage" }), 401)
    clock.at += accessTokenLife
    await problemIn(await ada.post("/api/v1/auth/logout"), 401)
    await refreshed(await refresh(ada.refreshToken, app))
  })
})

describe("GET /auth/sessions", () => {
  it("lists the caller's devices, the last used first, and says which is this one", async () => {
    const { app, clock } = await openClockwork()
    const ada = await newCaller(app)
    const start = clock.at
    clock.at += 1_000
    const device = { "user-agent": `Phone/${"9".repeat(300)}`, "cf-connecting-ip": "2001:db8:77::5" }
    const phone = await signedIn(await login({ email: ada.email }, app, device))
    const listed = async () => SessionList.parse(await (await ada.get("/api/v1/auth/sessions")).json()).data

    expect(await listed()).toEqual([
      {
        id: decodeJwt(phone.accessToken)["sid"],
        current: false,
        userAgent: device["user-agent"].slice(0, 256),
        address: "2001:db8:77::5",
        createdAt: new Date(start + 1_000).toISOString(),
        lastUsedAt: new Date(start + 1_000).toISOString(),
        expiresAt: new Date(start + 1_000 + idleLife).toISOString(),
      },
      expect.objectContaining({ id: decodeJwt(ada.accessToken)["sid"], current: true, userAgent: "" }),
    ])

    clock.at += 1_000
    await refreshed(await refresh(ada.refreshToken, app))
    expect((await listed()).map(({ current }) => current)).toEqual([true, false])
  })

  it("shows nobody else's, and asks no database", async () => {
    const [ada, eve] = [await newCaller(), await newCaller()]
    const answer = await eve.get("/api/v1/auth/sessions")
    expect(costOf(answer).trips).toBe(0)
    const { data } = SessionList.parse(await answer.json())
    expect(data.map(({ id }) => id)).toEqual([decodeJwt(eve.accessToken)["sid"]])
    expect(data.map(({ id }) => id)).not.toContain(decodeJwt(ada.accessToken)["sid"])
  })
})

describe("DELETE /auth/sessions/:sessionId", () => {
  const path = (accessToken: string) => `/api/v1/auth/sessions/${String(decodeJwt(accessToken)["sid"])}`

  it("signs a device out: nothing renews its access token, which lives out its ten minutes", async () => {
    const ada = await newCaller()
    const phone = await signedIn(await login({ email: ada.email }))
    const answer = await ada.delete(path(phone.accessToken))
    expect([answer.status, await answer.text()]).toEqual([204, ""])
    await problemIn(await refresh(phone.refreshToken), 401)
    expect((await callerOf(ada.app, phone).get("/api/v1/me")).status).toBe(200)
    await refreshed(await refresh(ada.refreshToken))
  })

  it("is 404 the second time, for what is no id, and for another user's session", async () => {
    const [ada, eve] = [await newCaller(), await newCaller()]
    expect((await ada.delete(path(ada.accessToken))).status).toBe(204)
    for (const gone of [path(ada.accessToken), "/api/v1/auth/sessions/x", `/api/v1/auth/sessions/${newId("task")}`]) {
      expect((await problemIn(await ada.delete(gone), 404)).code).toBe("not_found")
    }
    await problemIn(await eve.delete(path((await newCaller()).accessToken)), 404)
    await problemIn(await ada.delete(path(eve.accessToken)), 404)
    await refreshed(await refresh(eve.refreshToken))
  })

  it("wants an access token", async () => {
    const ada = await newCaller()
    const answer = await ada.app.fetch(path(ada.accessToken), { method: "DELETE" })
    await problemIn(answer, 401)
    await refreshed(await refresh(ada.refreshToken))
  })
})

describe("the limits on signing in", () => {
  /** Uses a quota up, but for `left`. */
  const spend = async ({ instance }: TestApp, policy: Policy, key: string, left = 0) => {
    await Promise.all(Array.from({ length: policy.quota - left }, () => instance.limiter.take(policy, key)))
  }
  const from = (address: string) => ({ "cf-connecting-ip": address })

  it("refuse the eleventh registration in an hour from one network, and say when to come again", async () => {
    const network = newAddress().replace("::1", "")
    for (let host = 1; host <= 10; host += 1) {
      const answer = await register({}, undefined, from(`${network}::${host}`))
      expect(answer.status).toBe(201)
      expect(limitIn(answer)).toMatch(new RegExp(`^"register-address";r=${10 - host};t=(3600|3[45]\\d\\d)$`))
    }
    const email = newEmail()
    const refused = await register({ email }, undefined, from(`${network}::ffff:1`))
    const problem = await problemIn(refused, 429)
    expect(problem).toMatchObject({
      code: "rate_limited",
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
    })
    const { headers } = refused
    expect(headers.get("ratelimit-policy")).toBe('"register-address";q=10;w=3600')
    expect(limitIn({ headers })).toMatch(/^"register-address";r=0;t=\d+$/)
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(3_000)
    expect(Number(headers.get("retry-after"))).toBeLessThanOrEqual(3_600)
    expect(await rowsOf("select id from users where email = ?", email)).toEqual([])

    await signedIn(await register({ email }), 201)
  })

  it("refuse a login by address, whatever the account", async () => {
    const app = await sharedApp()
    const ada = await newCaller()
    const address = newAddress()
    await spend(app, policies.loginByAddress, addressKey(address), 1)
    await signedIn(await login({ email: ada.email }, app, from(address)))
    const refused = await login({ email: ada.email }, app, from(address))
    expect((await problemIn(refused, 429)).code).toBe("rate_limited")
    expect(refused.headers.get("ratelimit-policy")).toBe('"login-address";q=30;w=900')
    expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(900)
    await signedIn(await login({ email: ada.email }, app))
  })

  it("refuse a login by account, whatever the address, the case and the password", async () => {
    const ada = await newCaller()
    for (let left = 9; left >= 0; left -= 1) {
      const answer = await login({ email: left % 2 ? ada.email : ada.email.toUpperCase(), password: "wrong" })
      await problemIn(answer, 401)
      expect(limitIn(answer)).toMatch(new RegExp(`^"login-address";r=29;t=900, "login-account";r=${left};t=\\d+$`))
    }
    const { calls, hasher } = counted(scryptHasher({ cost: { ln: 1, r: 1, p: 1 } }))
    const refused = await login({ email: ada.email }, await openApp({ hasher }))
    expect((await problemIn(refused, 429)).code).toBe("rate_limited")
    expect(refused.headers.get("ratelimit-policy")).toBe('"login-address";q=30;w=900, "login-account";q=10;w=900')
    expect(calls).toEqual([])
    // An address nobody has is limited in the same way, so the limit tells nothing.
    const nobody = newEmail()
    for (let count = 0; count < 10; count += 1) await problemIn(await login({ email: nobody }), 401)
    await problemIn(await login({ email: nobody }), 429)
  })

  it("refuse refreshes by address, and leave the token as it was", async () => {
    const app = await sharedApp()
    const ada = await newCaller()
    const address = newAddress()
    await spend(app, policies.refreshByAddress, addressKey(address))
    const refused = await refresh(ada.refreshToken, app, from(address))
    expect((await problemIn(refused, 429)).code).toBe("rate_limited")
    expect(refused.headers.get("ratelimit-policy")).toBe('"refresh-address";q=300;w=900')
    await refreshed(await refresh(ada.refreshToken, app))
  })

  it("count IPv4 addresses one by one, and those without an address together", async () => {
    const app = await sharedApp()
    const number = Math.floor(Math.random() * 250)
    await spend(app, policies.loginByAddress, `198.51.100.${number}`)
    const email = newEmail()
    await problemIn(await login({ email }, app, from(`198.51.100.${number}`)), 429)
    await problemIn(await login({ email }, app, from(`198.51.100.${number + 1}`)), 401)

    await spend(app, policies.loginByAddress, "unknown")
    const anonymous = await app.fetch("/api/v1/auth/login", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    })
    await problemIn(anonymous, 429)
  })

  it("charge for requests that make no sense, too", async () => {
    const address = newAddress()
    const first = await post("/login", { nonsense: true }, undefined, from(address))
    expect(limitIn(first)).toBe('"login-address";r=29;t=900')
    const second = await post("/login", { nonsense: true }, undefined, from(address))
    expect(limitIn(second)).toContain("r=28")
  })

  it("let nobody in while their engine is down", async () => {
    const { calls, hasher } = counted(scryptHasher({ cost: { ln: 1, r: 1, p: 1 } }))
    const app = await openApp({ limiter: deadLimiter, hasher })
    const ada = await newCaller()
    const email = newEmail()
    const answers = [
      await register({ email }, app),
      await login({ email: ada.email }, app),
      await refresh(ada.refreshToken, app),
    ]
    for (const answer of answers) {
      expect(answer.headers.get("retry-after")).toBe("5")
      expect(costOf(answer).trips).toBe(0)
      expect((await problemIn(answer, 503)).code).toBe("unavailable")
    }
    expect(calls).toEqual([])
    await signedIn(await register({ email }), 201)
    await refreshed(await refresh(ada.refreshToken))
    expect((await ada.through(app).get("/api/v1/me")).status).toBe(200)
  })
})

describe("a full queue for the hasher", () => {
  it("sends newcomers away with Retry-After, before they cost anything", async () => {
    const ada = await newCaller()
    const { calls, hasher } = counted(scryptHasher({ cost: { ln: 1, r: 1, p: 1 }, queueLength: 1 }))
    const app = await openApp({ hasher })
    const { promise: isDone, resolve: leave } = Promise.withResolvers<void>()
    const seat = hasher.admit(Date.now(), () => isDone)

    for (const answer of [await login({ email: ada.email }, app), await register({}, app)]) {
      expect(answer.headers.get("retry-after")).toBe("2")
      expect(costOf(answer).trips).toBe(0)
      expect((await problemIn(answer, 503)).code).toBe("unavailable")
    }
    expect(calls).toEqual([])

    leave()
    await seat
    await signedIn(await login({ email: ada.email }, app))
  })

  it("admits as many as it has places when they come at once", async () => {
    const ada = await newCaller()
    const app = await openApp({ hasher: scryptHasher({ cost: { ln: 1, r: 1, p: 1 }, queueLength: 3 }) })
    const answers = await Promise.all(Array.from({ length: 5 }, () => login({ email: ada.email }, app)))
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses.slice(0, 3)).toEqual([200, 200, 200])
    expect(statuses.every((status) => status === 200 || status === 503)).toBe(true)
  })
})
