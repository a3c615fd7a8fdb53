import { SignedIn } from "../../src/contracts/auth.ts"
import type { Role } from "../../src/lib/roles.ts"
import { addMember, type Caller, callerOf, newAddress, newCaller, password } from "./caller.ts"
import { execute } from "./database.ts"

/** A new person who is a member of the caller's workspace with that role, and signed in to it. */
export async function joined(host: Caller, role: Role = "member", name = "Eve"): Promise<Caller> {
  const person = await newCaller(host.app)
  await addMember(host, person, role)
  await execute(
    "update members set name = ? where workspace_id = ? and user_id = ?",
    name,
    host.workspaceId,
    person.userId,
  )
  await execute("update users set name = ? where id = ?", name, person.userId)
  await execute(
    "insert into memberships (user_id, workspace_id, created_at) values (?, ?, ?)",
    person.userId,
    host.workspaceId,
    Date.now(),
  )
  return signedInTo(host, person)
}

/** The same person, with tokens for the host's workspace. */
export async function signedInTo(host: Caller, person: Caller): Promise<Caller> {
  const { app } = host
  const send = (path: string, body: object, token?: string) =>
    app.fetch(`/api/v1/auth/${path}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "cf-connecting-ip": newAddress(),
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    })
  const login = SignedIn.parse(await (await send("login", { email: person.email, password })).json())
  const answer = await send("switch", { workspaceId: host.workspaceId }, login.accessToken)
  if (answer.status !== 200) throw new Error(`Cannot switch: ${await answer.text()}`)
  const tokens = (await answer.json()) as { accessToken: string; refreshToken: string; expiresIn: number }
  const workspace = { id: host.workspaceId, name: "", inboxId: host.inboxId }
  return callerOf(app, { ...login, ...tokens, workspace })
}
