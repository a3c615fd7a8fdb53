import { Hono } from "hono"
import {
  Credentials,
  LogoutRequest,
  RefreshRequest,
  Registration,
  SessionList,
  SessionPath,
  SignedIn,
  Tokens,
} from "../contracts/auth.ts"
import { Switch } from "../contracts/workspaces.ts"
import { mailVerification } from "../domain/account.ts"
import * as devices from "../domain/devices.ts"
import * as identity from "../domain/identity.ts"
import { admitCaller } from "../gateway/admit-caller.ts"
import { bearerToken } from "../gateway/authenticate.ts"
import { freshReads } from "../gateway/fresh-reads.ts"
import { identifyDevice } from "../gateway/identify-device.ts"
import { limitAddress, limitRate } from "../gateway/limit-rate.ts"
import type { AppEnv } from "../http/context.ts"
import { body, operation, optionalBody, params } from "../http/contract.ts"
import { mailLater } from "../http/later.ts"
import { sha256 } from "../lib/hmac.ts"
import { policies } from "../limits/policies.ts"

export const authRoutes = new Hono<AppEnv>()

authRoutes.use("/auth/*", identifyDevice())

const open = { isPublic: true }

authRoutes.post(
  "/auth/register",
  operation("Register, with a workspace of one's own", SignedIn, 201, open),
  limitAddress(policies.registerByAddress),
  body(Registration),
  async (c) => {
    const registered = await identity.register(c.var.identity, c.req.valid("json"))
    if (c.var.identity.mail.delivers) mailLater(c, () => mailVerification(c.var.identity, registered.user))
    return c.json(registered, 201)
  },
)

authRoutes.post(
  "/auth/login",
  operation("Sign in", SignedIn, 200, open),
  limitAddress(policies.loginByAddress),
  body(Credentials),
  limitRate<{ out: { json: { email: string } } }>(policies.loginByAccount, (c) => sha256(c.req.valid("json").email)),
  async (c) => c.json(await identity.login(c.var.identity, c.req.valid("json"))),
)

authRoutes.post(
  "/auth/refresh",
  operation("Exchange a refresh token for the next pair of tokens", Tokens, 200, open),
  limitAddress(policies.refreshByAddress),
  body(RefreshRequest),
  async (c) => c.json(await identity.refresh(c.var.identity, c.req.valid("json").refreshToken)),
)

authRoutes.post(
  "/auth/switch",
  admitCaller(),
  operation("Exchange the session for one in another of my workspaces", Tokens, 200, {
    description: "Both tokens are new; the refresh token of before is used up.",
  }),
  body(Switch),
  async (c) => c.json(await identity.switchWorkspace(c.var.identity, c.var.ctx.actor, c.req.valid("json").workspaceId)),
)

authRoutes.post(
  "/auth/logout",
  operation("End this session", null, 204, {
    ...open,
    description: "Named by the access token, or by `refreshToken` when that has expired.",
  }),
  optionalBody(LogoutRequest),
  async (c) => {
    await devices.logout(c.var.identity, bearerToken(c.req.header("authorization")), c.req.valid("json").refreshToken)
    return c.body(null, 204)
  },
)

authRoutes.get(
  "/auth/sessions",
  admitCaller(),
  freshReads(),
  operation("List the devices that are signed in", SessionList),
  async (c) => c.json({ data: await devices.listSessions(c.var.identity, c.var.ctx.actor) }),
)

authRoutes.delete(
  "/auth/sessions/:sessionId",
  admitCaller(),
  operation("Sign a device out"),
  params(SessionPath),
  async (c) => {
    await devices.endSession(c.var.identity, c.var.ctx.actor, c.req.valid("param").sessionId)
    return c.body(null, 204)
  },
)
