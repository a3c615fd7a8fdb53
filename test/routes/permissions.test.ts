import { beforeAll, describe, expect, it } from "vitest"
import { EventPage } from "../../src/contracts/events.ts"
import { allPermissions, type Permission } from "../../src/domain/permissions.ts"
import { type Described, kContract } from "../../src/http/contract.ts"
import { newId } from "../../src/lib/ids.ts"
import { roles } from "../../src/lib/roles.ts"
import { type Caller, newEmail, newProject, newTask, password, sharedApp, walk } from "../support/caller.ts"
import { execute } from "../support/database.ts"
import {
  demoted,
  openSetting,
  type Rule,
  reached,
  type Scene,
  type Setting,
  sceneAlone,
  standings,
  suffices,
} from "../support/matrix.ts"

const api = "/api/v1"
const admins = ["owner", "admin"] as const
const members = ["owner", "admin", "member"] as const
const everybody = ["owner", "admin", "member", "guest"] as const

/** Another task of the same project. */
const besideTask = async ({ owner, projectId }: Scene) => (await newTask(owner, { projectId })).id
const task = ({ taskId }: Scene) => `${api}/tasks/${taskId}`
const project = ({ projectId }: Scene) => `${api}/projects/${projectId}`

async function newLabel({ owner }: Scene): Promise<string> {
  const answer = await owner.post(`${api}/labels`, { name: crypto.randomUUID() })
  return ((await answer.json()) as { id: string }).id
}

async function newInvitation({ owner }: Scene): Promise<string> {
  const answer = await owner.post(`${api}/invitations`, { email: newEmail(), role: "member" })
  return ((await answer.json()) as { id: string }).id
}

const thumb = encodeURIComponent("👍")

const comment = (s: Scene, author: Caller) => author.post(`${task(s)}/comments`, { body: "A word" })

/** What the caller follows, has as a favourite or has reacted to, from a time when they saw it. */
function keep({ caller: { workspaceId, userId } }: Scene, table: string, what: Record<string, string | number>) {
  const row = { workspace_id: workspaceId, user_id: userId, created_at: Date.now(), ...what }
  const marks = Object.keys(row).map(() => "?")
  return execute(
    `insert into ${table} (${Object.keys(row).join(", ")}) values (${marks.join(", ")}) on conflict do nothing`,
    ...Object.values(row),
  )
}

/** Does something with a comment of that author; who may not comment is told so when they try. */
async function onComment(s: Scene, author: Caller, act: (path: string) => Promise<Response>): Promise<Response> {
  const answer = await comment(s, author)
  if (!answer.ok) return answer
  const { id } = (await answer.json()) as { id: string }
  return act(`${api}/comments/${id}`)
}

/** Does something with a key of the caller's own; who may have none is told so when they make it. */
async function onKey({ caller }: Scene, act: (path: string) => Promise<Response>): Promise<Response> {
  const answer = await caller.post(`${api}/api-keys`, { name: "Deploy", scopes: ["task:read"] })
  if (!answer.ok) return answer
  const { id } = (await answer.json()) as { id: string }
  return act(`${api}/api-keys/${id}`)
}

const makeWebhook = (caller: Caller) =>
  caller.post(`${api}/webhooks`, { url: "http://127.0.0.1:9/", events: ["workspace.restored"] })

/** Does something with a webhook of the workspace, and makes room for the next one. */
function onWebhook(act: (caller: Caller, path: string, owner: Caller) => Promise<Response>): Rule {
  const send = async ({ owner, caller }: Scene) => {
    const made = await makeWebhook(owner)
    const { id } = (await made.json()) as { id: string }
    const answer = await act(caller, `${api}/webhooks/${id}`, owner)
    await owner.delete(`${api}/webhooks/${id}`)
    return answer
  }
  return { scopes: ["webhook:manage"], roles: admins, send }
}

/** Does something with a delivery to a webhook, which was given up. */
const onDelivery = (act: (caller: Caller, path: string) => Promise<Response>): Rule =>
  onWebhook(async (caller, path, { workspaceId }) => {
    await execute(
      "insert into webhook_deliveries (workspace_id, webhook_id, seq, type, status, attempts, created_at, updated_at) values (?, ?, 1, 'workspace.created', 'failed', 10, 0, 0)",
      workspaceId,
      path.split("/").at(-1),
    )
    return act(caller, path)
  })

/** Every route that takes a token, and what it takes beside it. */
const rules: Record<string, Rule> = {
  // ---- oneself ----
  "GET /me": { scopes: [], roles: everybody, send: ({ caller }) => caller.get(`${api}/me`) },
  "PATCH /me": {
    scopes: null,
    roles: everybody,
    send: ({ caller }) => caller.patch(`${api}/me`, { timeZone: "Europe/Berlin" }),
  },
  "GET /auth/sessions": { scopes: null, roles: everybody, send: ({ caller }) => caller.get(`${api}/auth/sessions`) },
  "DELETE /auth/sessions/:sessionId": {
    scopes: null,
    roles: everybody,
    status: 404,
    send: ({ caller }) => caller.delete(`${api}/auth/sessions/ses_01j00000000000000000000000`),
  },
  "POST /auth/switch": {
    scopes: null,
    roles: everybody,
    isAlone: true,
    send: ({ caller }) => caller.post(`${api}/auth/switch`, { workspaceId: caller.workspaceId }),
  },

  "POST /auth/verification": {
    scopes: null,
    roles: everybody,
    send: ({ caller }) => caller.post(`${api}/auth/verification`),
  },
  "PUT /auth/password": {
    scopes: null,
    roles: everybody,
    isAlone: true,
    send: ({ caller }) => caller.put(`${api}/auth/password`, { current: password, password: "another passphrase" }),
  },
  "POST /auth/email-change": {
    scopes: null,
    roles: everybody,
    isAlone: true,
    send: ({ caller }) => caller.post(`${api}/auth/email-change`, { email: newEmail(), password }),
  },

  // ---- the workspace and its people ----
  "GET /workspaces": { scopes: null, roles: everybody, send: ({ caller }) => caller.get(`${api}/workspaces`) },
  "POST /workspaces": {
    scopes: null,
    roles: everybody,
    send: ({ caller }) => caller.post(`${api}/workspaces`, { name: "Own" }),
  },
  "GET /workspaces/:workspaceId": {
    scopes: ["workspace:read"],
    roles: everybody,
    send: ({ caller }) => caller.get(`${api}/workspaces/${caller.workspaceId}`),
  },
  "PATCH /workspaces/:workspaceId": {
    scopes: ["workspace:manage"],
    roles: admins,
    send: ({ caller }) => caller.patch(`${api}/workspaces/${caller.workspaceId}`, { name: crypto.randomUUID() }),
  },
  "DELETE /workspaces/:workspaceId": {
    scopes: ["workspace:own"],
    roles: ["owner"],
    isAlone: true,
    send: ({ caller }) => caller.delete(`${api}/workspaces/${caller.workspaceId}`),
  },
  "PUT /workspaces/:workspaceId/restoration": {
    scopes: null,
    roles: ["owner"],
    isAlone: true,
    send: ({ caller }) => caller.put(`${api}/workspaces/${caller.workspaceId}/restoration`),
  },
  "PUT /workspaces/:workspaceId/owner": {
    scopes: ["workspace:own"],
    roles: ["owner"],
    isAlone: true,
    send: ({ caller, other }) => caller.put(`${api}/workspaces/${caller.workspaceId}/owner`, { userId: other.userId }),
  },
  "GET /members": { scopes: ["member:read"], roles: members, send: ({ caller }) => caller.get(`${api}/members`) },
  "PATCH /members/:userId": {
    scopes: ["member:manage"],
    roles: admins,
    isAlone: true,
    send: ({ caller, other }) => caller.patch(`${api}/members/${other.userId}`, { role: "guest" }),
  },
  "DELETE /members/:userId": {
    scopes: ["member:manage"],
    roles: admins,
    isAlone: true,
    send: ({ caller, other }) => caller.delete(`${api}/members/${other.userId}`),
  },
  "GET /events": { scopes: ["event:read"], roles: everybody, send: ({ caller }) => caller.get(`${api}/events`) },
  "GET /activity": { scopes: ["event:read"], roles: everybody, send: ({ caller }) => caller.get(`${api}/activity`) },
  "GET /sync": {
    scopes: ["event:read", "project:read", "label:read", "task:read"],
    roles: everybody,
    send: ({ caller }) => caller.get(`${api}/sync`),
  },
  "GET /notifications": {
    scopes: ["event:read"],
    roles: everybody,
    send: ({ caller }) => caller.get(`${api}/notifications`),
  },
  "GET /notifications/unread": {
    scopes: ["event:read"],
    roles: everybody,
    send: ({ caller }) => caller.get(`${api}/notifications/unread`),
  },
  "PUT /notifications/reading": {
    scopes: ["profile:write"],
    roles: everybody,
    send: ({ caller }) => caller.put(`${api}/notifications/reading`),
  },
  "PUT /notifications/:notificationId/reading": {
    scopes: ["profile:write"],
    roles: everybody,
    // Nobody has this one; whoever may not ask is not told that.
    status: 404,
    send: ({ caller }) => caller.put(`${api}/notifications/${newId("notification")}/reading`),
  },
  "DELETE /notifications/:notificationId/reading": {
    scopes: ["profile:write"],
    roles: everybody,
    status: 404,
    send: ({ caller }) => caller.delete(`${api}/notifications/${newId("notification")}/reading`),
  },
  "PUT /projects/:projectId/follower": {
    scopes: ["project:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.put(`${project(s)}/follower`),
  },
  "DELETE /projects/:projectId/follower": {
    scopes: ["project:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: async (s) => {
      await keep(s, "project_followers", { project_id: s.projectId })
      return s.caller.delete(`${project(s)}/follower`)
    },
  },
  "PUT /projects/:projectId/mute": {
    scopes: ["project:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.put(`${project(s)}/mute`),
  },
  "DELETE /projects/:projectId/mute": {
    scopes: ["project:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: async (s) => {
      await keep(s, "mutes", { subject_id: s.projectId })
      return s.caller.delete(`${project(s)}/mute`)
    },
  },
  "PUT /tasks/:idOrKey/mute": {
    scopes: ["task:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.put(`${task(s)}/mute`),
  },
  "DELETE /tasks/:idOrKey/mute": {
    scopes: ["task:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: async (s) => {
      await keep(s, "mutes", { subject_id: s.taskId })
      return s.caller.delete(`${task(s)}/mute`)
    },
  },
  "GET /tasks/:idOrKey/reminders": {
    scopes: ["task:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${task(s)}/reminders`),
  },
  "POST /tasks/:idOrKey/reminders": {
    scopes: ["task:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: async (s) => s.caller.post(`${api}/tasks/${await besideTask(s)}/reminders`, { before: "PT30M" }),
  },
  "DELETE /tasks/:idOrKey/reminders/:reminderId": {
    scopes: ["task:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: async (s) => {
      const [id, taskId] = [newId("reminder"), await besideTask(s)]
      await keep(s, "reminders", { id, task_id: taskId, before_ms: 0 })
      return s.caller.delete(`${api}/tasks/${taskId}/reminders/${id}`)
    },
  },
  "POST /realtime/tickets": {
    scopes: ["event:read"],
    roles: everybody,
    send: ({ caller }) => caller.post(`${api}/realtime/tickets`),
  },
  "GET /realtime": {
    scopes: ["event:read"],
    roles: everybody,
    // Whoever may have a socket is asked to ask for one.
    status: 426,
    send: ({ caller }) => caller.get(`${api}/realtime`),
  },

  // ---- invitations ----
  "GET /invitations": {
    scopes: ["member:manage"],
    roles: admins,
    send: ({ caller }) => caller.get(`${api}/invitations`),
  },
  "POST /invitations": {
    scopes: ["member:manage"],
    roles: admins,
    send: ({ caller }) => caller.post(`${api}/invitations`, { email: newEmail(), role: "member" }),
  },
  "POST /invitations/:invitationId/mail": {
    scopes: ["member:manage"],
    roles: admins,
    send: async (s) => s.caller.post(`${api}/invitations/${await newInvitation(s)}/mail`),
  },
  "DELETE /invitations/:invitationId": {
    scopes: ["member:manage"],
    roles: admins,
    send: async (s) => s.caller.delete(`${api}/invitations/${await newInvitation(s)}`),
  },
  "PUT /invitations/acceptance": {
    scopes: null,
    roles: everybody,
    status: 422,
    send: ({ caller }) => caller.put(`${api}/invitations/acceptance`, { token: "x" }),
  },
  "GET /me/invitations": { scopes: null, roles: everybody, send: ({ caller }) => caller.get(`${api}/me/invitations`) },
  "PUT /me/invitations/:invitationId/acceptance": {
    scopes: null,
    roles: everybody,
    status: 404,
    send: ({ caller }) => caller.put(`${api}/me/invitations/inv_01j00000000000000000000000/acceptance`),
  },

  // ---- API keys ----
  "POST /api-keys": {
    scopes: null,
    roles: members,
    send: ({ caller }) => caller.post(`${api}/api-keys`, { name: "Deploy", scopes: ["task:read"] }),
  },
  "GET /api-keys": { scopes: null, roles: members, send: ({ caller }) => caller.get(`${api}/api-keys`) },
  "GET /api-keys/:keyId": { scopes: null, roles: members, send: (s) => onKey(s, (path) => s.caller.get(path)) },
  "PATCH /api-keys/:keyId": {
    scopes: null,
    roles: members,
    send: (s) => onKey(s, (path) => s.caller.patch(path, { name: "x" })),
  },
  "DELETE /api-keys/:keyId": { scopes: null, roles: members, send: (s) => onKey(s, (path) => s.caller.delete(path)) },

  // ---- many writes at once: each asks for what its route asks for ----
  "POST /batch": {
    scopes: [],
    roles: everybody,
    send: ({ caller, taskId }) => {
      const command = { key: crypto.randomUUID(), method: "PUT", path: `/tasks/${taskId}/follower` }
      return caller.post(`${api}/batch`, { commands: [command] })
    },
  },
  // ---- webhooks ----
  "POST /webhooks": { scopes: ["webhook:manage"], roles: admins, send: ({ caller }) => makeWebhook(caller) },
  "GET /webhooks": {
    scopes: ["webhook:manage"],
    roles: admins,
    send: ({ caller }) => caller.get(`${api}/webhooks`),
  },
  "GET /webhooks/:webhookId": onWebhook((caller, path) => caller.get(path)),
  "PATCH /webhooks/:webhookId": onWebhook((caller, path) => caller.patch(path, { description: "x" })),
  "DELETE /webhooks/:webhookId": onWebhook((caller, path) => caller.delete(path)),
  "PUT /webhooks/:webhookId/activation": onWebhook(async (caller, path, owner) => {
    await owner.delete(`${path}/activation`)
    return caller.put(`${path}/activation`)
  }),
  "DELETE /webhooks/:webhookId/activation": onWebhook((caller, path) => caller.delete(`${path}/activation`)),
  "GET /webhooks/:webhookId/secrets": onWebhook((caller, path) => caller.get(`${path}/secrets`)),
  "POST /webhooks/:webhookId/secrets": onWebhook((caller, path) => caller.post(`${path}/secrets`)),
  "POST /webhooks/:webhookId/pings": onWebhook((caller, path) => caller.post(`${path}/pings`)),
  "GET /webhooks/:webhookId/deliveries": onWebhook((caller, path) => caller.get(`${path}/deliveries`)),
  "GET /webhooks/:webhookId/deliveries/:seq": onDelivery((caller, path) => caller.get(`${path}/deliveries/1`)),
  "POST /webhooks/:webhookId/deliveries/:seq/replays": onDelivery((caller, path) =>
    caller.post(`${path}/deliveries/1/replays`),
  ),
  "POST /webhooks/:webhookId/replays": onDelivery((caller, path) =>
    caller.post(`${path}/replays`, { fromSeq: 1, toSeq: 9 }),
  ),

  // ---- labels ----
  "GET /labels": { scopes: ["label:read"], roles: everybody, send: ({ caller }) => caller.get(`${api}/labels`) },
  "POST /labels": {
    scopes: ["label:manage"],
    roles: members,
    send: ({ caller }) => caller.post(`${api}/labels`, { name: crypto.randomUUID() }),
  },
  "POST /labels/bulk": {
    scopes: ["label:manage"],
    roles: members,
    send: ({ caller }) => caller.post(`${api}/labels/bulk`, { labels: [{ name: crypto.randomUUID() }] }),
  },
  "GET /labels/:labelId": {
    scopes: ["label:read"],
    roles: everybody,
    send: async (s) => s.caller.get(`${api}/labels/${await newLabel(s)}`),
  },
  "PATCH /labels/:labelId": {
    scopes: ["label:manage"],
    roles: members,
    send: async (s) => s.caller.patch(`${api}/labels/${await newLabel(s)}`, { color: "#123456" }),
  },
  "DELETE /labels/:labelId": {
    scopes: ["label:manage"],
    roles: members,
    send: async (s) => s.caller.delete(`${api}/labels/${await newLabel(s)}`),
  },
  "PUT /labels/:labelId/merger": {
    scopes: ["label:manage"],
    roles: members,
    send: async (s) => s.caller.put(`${api}/labels/${await newLabel(s)}/merger`, { into: await newLabel(s) }),
  },

  // ---- projects ----
  "GET /projects": { scopes: ["project:read"], roles: everybody, send: ({ caller }) => caller.get(`${api}/projects`) },
  "POST /projects": {
    scopes: ["project:create"],
    roles: members,
    send: ({ caller }) => caller.post(`${api}/projects`, { name: "New" }),
  },
  "GET /projects/:projectId": {
    scopes: ["project:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(project(s)),
  },
  "PATCH /projects/:projectId": {
    scopes: ["project:manage"],
    roles: members,
    level: "manage",
    send: (s) => s.caller.patch(project(s), { description: crypto.randomUUID() }),
  },
  "DELETE /projects/:projectId": {
    scopes: ["project:manage"],
    roles: members,
    level: "manage",
    isAlone: true,
    send: (s) => s.caller.delete(project(s)),
  },
  "GET /projects/:projectId/members": {
    scopes: ["project:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${project(s)}/members`),
  },
  "GET /projects/:projectId/activity": {
    scopes: ["event:read", "project:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${project(s)}/activity`),
  },
  "PUT /projects/:projectId/members/:userId": {
    scopes: ["project:manage"],
    roles: members,
    level: "manage",
    send: (s) => s.caller.put(`${project(s)}/members/${s.other.userId}`, { level: "view" }),
  },
  "DELETE /projects/:projectId/members/:userId": {
    scopes: ["project:manage"],
    roles: members,
    level: "manage",
    send: async (s) => {
      await s.owner.put(`${project(s)}/members/${s.other.userId}`, { level: "view" })
      return s.caller.delete(`${project(s)}/members/${s.other.userId}`)
    },
  },

  // ---- tasks ----
  "GET /tasks": { scopes: ["task:read"], roles: everybody, send: ({ caller }) => caller.get(`${api}/tasks`) },
  "GET /projects/:projectId/tasks": {
    scopes: ["task:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${project(s)}/tasks`),
  },
  "POST /tasks": {
    scopes: ["task:write"],
    roles: everybody,
    level: "edit",
    unseen: 422,
    send: ({ caller, projectId }) => caller.post(`${api}/tasks`, { projectId, title: "New" }),
  },
  "POST /tasks/bulk": {
    scopes: ["task:write"],
    roles: everybody,
    level: "edit",
    unseen: 422,
    send: ({ caller, projectId }) => caller.post(`${api}/tasks/bulk`, { tasks: [{ projectId, title: "New" }] }),
  },
  "GET /tasks/:idOrKey/activity": {
    scopes: ["event:read", "task:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${task(s)}/activity`),
  },
  "GET /tasks/:idOrKey": { scopes: ["task:read"], roles: everybody, level: "view", send: (s) => s.caller.get(task(s)) },
  "PATCH /tasks/:idOrKey": {
    scopes: ["task:write"],
    roles: everybody,
    level: "edit",
    send: (s) => s.caller.patch(task(s), { title: "Changed" }),
  },
  "DELETE /tasks/:idOrKey": {
    scopes: ["task:write"],
    roles: everybody,
    level: "edit",
    send: (s) => s.caller.delete(task(s)),
  },
  "PUT /tasks/:idOrKey/closure": {
    scopes: ["task:close"],
    roles: everybody,
    level: "complete",
    send: (s) => s.caller.put(`${task(s)}/closure`),
  },
  "DELETE /tasks/:idOrKey/closure": {
    scopes: ["task:close"],
    roles: everybody,
    level: "complete",
    send: async (s) => {
      await s.owner.put(`${task(s)}/closure`)
      return s.caller.delete(`${task(s)}/closure`)
    },
  },
  "PUT /tasks/:idOrKey/project": {
    scopes: ["task:write"],
    roles: everybody,
    level: "edit",
    send: async (s) => s.caller.put(`${task(s)}/project`, { projectId: await s.alike() }),
  },
  "PUT /tasks/:idOrKey/position": {
    scopes: ["task:write"],
    roles: everybody,
    level: "edit",
    send: async (s) => s.caller.put(`${task(s)}/position`, { after: await besideTask(s) }),
  },
  "GET /tasks/:idOrKey/relations": {
    scopes: ["task:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${task(s)}/relations`),
  },
  "PUT /tasks/:idOrKey/relations/:kind/:otherIdOrKey": {
    scopes: ["task:write"],
    roles: everybody,
    level: "edit",
    send: async (s) => s.caller.put(`${task(s)}/relations/relates/${await besideTask(s)}`),
  },
  "DELETE /tasks/:idOrKey/relations/:kind/:otherIdOrKey": {
    scopes: ["task:write"],
    roles: everybody,
    level: "edit",
    send: async (s) => {
      const relation = `${task(s)}/relations/relates/${await besideTask(s)}`
      await s.owner.put(relation)
      return s.caller.delete(relation)
    },
  },
  "PUT /tasks/:idOrKey/follower": {
    scopes: ["task:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.put(`${task(s)}/follower`),
  },
  "DELETE /tasks/:idOrKey/follower": {
    scopes: ["task:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: async (s) => {
      await keep(s, "task_followers", { task_id: s.taskId })
      return s.caller.delete(`${task(s)}/follower`)
    },
  },
  "GET /me/favourites": {
    scopes: ["project:read"],
    roles: everybody,
    send: (s) => s.caller.get(`${api}/me/favourites`),
  },
  "PUT /projects/:projectId/favourite": {
    scopes: ["project:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.put(`${api}/projects/${s.projectId}/favourite`),
  },
  "DELETE /projects/:projectId/favourite": {
    scopes: ["project:read", "profile:write"],
    roles: everybody,
    level: "view",
    send: async (s) => {
      await keep(s, "favourites", { project_id: s.projectId })
      return s.caller.delete(`${api}/projects/${s.projectId}/favourite`)
    },
  },

  // ---- comments ----
  "GET /tasks/:idOrKey/comments": {
    scopes: ["task:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${task(s)}/comments`),
  },
  "POST /tasks/:idOrKey/comments": {
    scopes: ["comment:write"],
    roles: everybody,
    level: "comment",
    send: (s) => comment(s, s.caller),
  },
  "GET /tasks/:idOrKey/mentionable": {
    scopes: ["task:read"],
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${task(s)}/mentionable?q=b`),
  },
  "GET /comments/:commentId": {
    scopes: ["task:read"],
    roles: everybody,
    level: "view",
    send: (s) => onComment(s, s.owner, (path) => s.caller.get(path)),
  },
  // Everybody edits and deletes their own.
  "PATCH /comments/:commentId": {
    scopes: ["comment:write"],
    roles: everybody,
    level: "comment",
    send: (s) => onComment(s, s.caller, (path) => s.caller.patch(path, { body: "Changed" })),
  },
  "DELETE /comments/:commentId": {
    scopes: ["task:read", "comment:write"],
    roles: everybody,
    level: "comment",
    send: (s) => onComment(s, s.caller, (path) => s.caller.delete(path)),
  },
  "PUT /comments/:commentId/reactions/:emoji": {
    scopes: ["comment:write"],
    roles: everybody,
    level: "comment",
    send: (s) => onComment(s, s.owner, (path) => s.caller.put(`${path}/reactions/${thumb}`)),
  },
  "DELETE /comments/:commentId/reactions/:emoji": {
    scopes: ["comment:write"],
    roles: everybody,
    level: "comment",
    send: (s) =>
      onComment(s, s.owner, async (path) => {
        await keep(s, "reactions", { comment_id: path.split("/").at(-1) ?? "", emoji: "👍" })
        return s.caller.delete(`${path}/reactions/${thumb}`)
      }),
  },
}

async function expectAnswer(name: string, rule: Rule, scene: Scene, ...expected: (number | null)[]): Promise<void> {
  const answer = await rule.send(scene)
  const told = `${name}: ${answer.status} ${await answer.text()}`
  if (expected[0] === null) expect(answer.ok, told).toBe(true)
  else expect(expected, told).toContain(answer.status)
}

/** The status of a refusal; null for success, whatever its status. */
function expectedOf(rule: Rule, role: (typeof roles)[number], standing: (typeof standings)[number]): number | null {
  if (!rule.roles.includes(role)) return 403
  const has = reached(role, standing)
  if (rule.level && !has) return rule.unseen ?? 404
  if (rule.level && !suffices(has, rule.level)) return 403
  return rule.status ?? null
}

const named = Object.entries(rules)
const inProjects = named.filter(([, rule]) => rule.level && !rule.isAlone)
const inWorkspace = named.filter(([, rule]) => !(rule.level || rule.isAlone))
const alone = named.filter(([, rule]) => rule.isAlone)

let setting: Setting

beforeAll(async () => {
  setting = await openSetting()
})

describe("every route", () => {
  it("is in the matrix, and nothing else is", async () => {
    const { hono } = await sharedApp()
    const closed = hono.routes.flatMap(({ method, path, handler }) => {
      const contract = (handler as Described)[kContract]
      const isClosed = contract?.kind === "operation" && !contract.isPublic
      return isClosed ? [`${method} ${path.replace(api, "")}`] : []
    })
    expect(Object.keys(rules).toSorted()).toEqual(closed.toSorted())
  })
})

for (const role of roles) {
  describe(`to the ${role}`, () => {
    it(`the workspace gives what the role may: ${inWorkspace.length} routes`, async () => {
      const [scene] = await setting.sceneOf(role, "open", 1)
      if (!scene) throw new Error("No scene")
      for (const [name, rule] of inWorkspace) await expectAnswer(name, rule, scene, expectedOf(rule, role, "open"))
    })

    for (const standing of standings) {
      // A guest can have edit at most.
      if (role === "guest" && standing.endsWith("named to manage")) continue
      it(`a project gives what it may: ${standing}, ${inProjects.length} routes`, async () => {
        const scenes = await setting.sceneOf(role, standing, inProjects.length)
        for (const [index, [name, rule]] of inProjects.entries()) {
          const scene = scenes[index]
          if (!scene) throw new Error("No scene")
          await expectAnswer(name, rule, scene, expectedOf(rule, role, standing))
        }
      })
    }

    for (const [name, rule] of alone) {
      it(`what changes who is who is given to whoever may: ${name}`, async () => {
        await expectAnswer(name, rule, await sceneAlone(role), expectedOf(rule, role, "open"))
      })
    }
  })
}

const isWrite = ([name]: [string, Rule]) => !name.startsWith("GET ")

for (const [from, to] of [
  ["owner", "member"],
  ["admin", "member"],
  ["admin", "guest"],
] as const) {
  describe(`with the token of an ${from} who was made a ${to} a moment ago`, () => {
    for (const standing of ["open", "private", "named to edit"] as const) {
      const writes = [...(standing === "open" ? inWorkspace : []), ...inProjects].filter(isWrite)
      it(`a ${to} writes no more than a ${to} may: ${standing}, ${writes.length} routes`, async () => {
        const scenes = await setting.sceneOf(from, standing, writes.length)
        await demoted(setting.people[from], from, to, async () => {
          for (const [index, [name, rule]] of writes.entries()) {
            const scene = scenes[index]
            if (!scene) throw new Error("No scene")
            // What the token may not see, either, is refused before the role is looked at.
            await expectAnswer(name, rule, scene, expectedOf(rule, to, standing), expectedOf(rule, from, standing))
          }
        })
      })
    }

    for (const [name, rule] of alone.filter(isWrite)) {
      it(`changes who is who no more than a ${to} may: ${name}`, async () => {
        const scene = await sceneAlone(from)
        await demoted(scene.caller, from, to, () => expectAnswer(name, rule, scene, expectedOf(rule, to, "open")))
      })
    }
  })
}

describe("through an API key", () => {
  const keys = new Map<string, Promise<Caller>>()

  /** The person of a scene, through a key of theirs. */
  async function keyed(caller: Caller, scopes: readonly Permission[]): Promise<Caller> {
    // A key that may do nothing cannot be made.
    const given = scopes.length > 0 ? scopes : ["workspace:read"]
    const answer = await caller.post(`${api}/api-keys`, { name: "Scoped", scopes: given })
    const { key } = (await answer.json()) as { key: string }
    return caller.as(key)
  }

  const oncePer = (caller: Caller, scopes: readonly Permission[]) => {
    const name = [caller.userId, ...scopes].join(" ")
    const known = keys.get(name) ?? keyed(caller, scopes)
    keys.set(name, known)
    return known
  }

  /** The key of every other scope lacks this one. */
  const without = (scope: Permission) => allPermissions.filter((other) => other !== scope)

  const tries = async (name: string, rule: Rule, next: () => Promise<Scene>) => {
    const { scopes } = rule
    const refusals = scopes ? scopes.map(without) : [allPermissions]
    for (const lacking of refusals) {
      const scene = await next()
      await expectAnswer(name, rule, { ...scene, caller: await oncePer(scene.caller, lacking) }, 403)
    }
    if (!scopes) return
    const scene = await next()
    await expectAnswer(name, rule, { ...scene, caller: await oncePer(scene.caller, scopes) }, rule.status ?? null)
  }

  it(`each route takes its own scopes and no other: ${inProjects.length + inWorkspace.length} routes`, async () => {
    const scenes: Scene[] = []
    const next = async () => {
      if (scenes.length === 0) scenes.push(...(await setting.sceneOf("owner", "open", 100)))
      return scenes.pop() ?? Promise.reject(new Error("No scene"))
    }
    for (const [name, rule] of [...inWorkspace, ...inProjects]) await tries(name, rule, next)
  })

  for (const [name, rule] of alone) {
    it(`takes its own scope, and no other: ${name}`, () => tries(name, rule, () => sceneAlone("owner")))
  }
})

/** The log to its end, whose pages may be empty before it. */
async function wholeLog(caller: Caller): Promise<object[]> {
  const all: object[] = []
  for (let after = 0; ; ) {
    const answer = await caller.get(`${api}/events?limit=200&after=${after}`)
    const { data, next } = EventPage.parse(await answer.json())
    if (next === after) return all
    all.push(...data)
    after = next
  }
}

describe("what a private project holds", () => {
  const lists = ["projects?limit=200", "tasks?sort=-created&limit=200", "tasks?sort=-updated&limit=200"]

  it("is in no list, no filter and no log of whoever does not see it", async () => {
    const { owner, people } = setting
    const hidden = await newProject(owner, { name: "Hidden", visibility: "private" })
    const secret = await newTask(owner, { projectId: hidden.id, title: "A secret" })
    const seenBy = async (caller: Caller) => {
      const pages = await Promise.all(lists.map((path) => walk(caller, `${api}/${path}`)))
      return JSON.stringify([pages, await wholeLog(caller)])
    }
    for (const role of ["admin", "member", "guest"] as const) {
      const seen = await seenBy(people[role])
      expect(seen, role).not.toContain(hidden.id)
      expect(seen, role).not.toContain(secret.id)
      for (const query of [`project=${hidden.id}`, `parent=${secret.id}`]) {
        expect((await people[role].get(`${api}/tasks?${query}`)).status, `${role} ${query}`).toBe(422)
      }
    }
    const all = await seenBy(people.owner)
    expect(all).toContain(hidden.id)
    expect(all).toContain(secret.id)
  })

  it("stays hidden when it is named in a write: neither a parent nor a project of it can be used", async () => {
    const { owner, people } = setting
    const hidden = await newProject(owner, { name: "Hidden", visibility: "private" })
    const secret = await newTask(owner, { projectId: hidden.id })
    const open = await newProject(owner, { name: "Open" })
    const answer = await people.member.post(`${api}/tasks`, { projectId: open.id, parentId: secret.id, title: "x" })
    expect(answer.status).toBe(422)
    // The same answer as for what does not exist.
    const ghost = { projectId: "prj_01j00000000000000000000000", title: "x" }
    const unknown = (await (await people.member.post(`${api}/tasks`, ghost)).json()) as { errors: object[] }
    const unseen = await people.member.post(`${api}/tasks`, { ...ghost, projectId: hidden.id })
    expect(((await unseen.json()) as { errors: object[] }).errors).toEqual(unknown.errors)
  })
})
