import { beforeAll, describe, expect, it } from "vitest"
import { EventPage } from "../../src/contracts/events.ts"
import { type Described, kContract } from "../../src/http/contract.ts"
import { roles } from "../../src/lib/roles.ts"
import { type Caller, newEmail, newProject, newTask, password, sharedApp, walk } from "../support/caller.ts"
import {
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
const noKey = `${api}/api-keys/key_01j00000000000000000000000`
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

/** Does something with a comment of that author; who may not comment is told so when they try. */
async function onComment(s: Scene, author: Caller, act: (path: string) => Promise<Response>): Promise<Response> {
  const answer = await comment(s, author)
  if (!answer.ok) return answer
  const { id } = (await answer.json()) as { id: string }
  return act(`${api}/comments/${id}`)
}

/** Every route that takes a token, and what it takes beside it. */
const rules: Record<string, Rule> = {
  // ---- oneself ----
  "GET /me": { roles: everybody, send: ({ caller }) => caller.get(`${api}/me`) },
  "PATCH /me": { roles: everybody, send: ({ caller }) => caller.patch(`${api}/me`, { timeZone: "Europe/Berlin" }) },
  "GET /auth/sessions": { roles: everybody, send: ({ caller }) => caller.get(`${api}/auth/sessions`) },
  "DELETE /auth/sessions/:sessionId": {
    roles: everybody,
    status: 404,
    send: ({ caller }) => caller.delete(`${api}/auth/sessions/ses_01j00000000000000000000000`),
  },
  "POST /auth/switch": {
    roles: everybody,
    isAlone: true,
    send: ({ caller }) => caller.post(`${api}/auth/switch`, { workspaceId: caller.workspaceId }),
  },

  "POST /auth/verification": { roles: everybody, send: ({ caller }) => caller.post(`${api}/auth/verification`) },
  "PUT /auth/password": {
    roles: everybody,
    isAlone: true,
    send: ({ caller }) => caller.put(`${api}/auth/password`, { current: password, password: "another passphrase" }),
  },
  "POST /auth/email-change": {
    roles: everybody,
    isAlone: true,
    send: ({ caller }) => caller.post(`${api}/auth/email-change`, { email: newEmail(), password }),
  },

  // ---- the workspace and its people ----
  "GET /workspaces": { roles: everybody, send: ({ caller }) => caller.get(`${api}/workspaces`) },
  "POST /workspaces": { roles: everybody, send: ({ caller }) => caller.post(`${api}/workspaces`, { name: "Own" }) },
  "GET /workspaces/:workspaceId": {
    roles: everybody,
    send: ({ caller }) => caller.get(`${api}/workspaces/${caller.workspaceId}`),
  },
  "PATCH /workspaces/:workspaceId": {
    roles: admins,
    send: ({ caller }) => caller.patch(`${api}/workspaces/${caller.workspaceId}`, { name: "Crew" }),
  },
  "DELETE /workspaces/:workspaceId": {
    roles: ["owner"],
    isAlone: true,
    send: ({ caller }) => caller.delete(`${api}/workspaces/${caller.workspaceId}`),
  },
  "PUT /workspaces/:workspaceId/restoration": {
    roles: ["owner"],
    isAlone: true,
    send: ({ caller }) => caller.put(`${api}/workspaces/${caller.workspaceId}/restoration`),
  },
  "PUT /workspaces/:workspaceId/owner": {
    roles: ["owner"],
    isAlone: true,
    send: ({ caller, other }) => caller.put(`${api}/workspaces/${caller.workspaceId}/owner`, { userId: other.userId }),
  },
  "GET /members": { roles: members, send: ({ caller }) => caller.get(`${api}/members`) },
  "PATCH /members/:userId": {
    roles: admins,
    isAlone: true,
    send: ({ caller, other }) => caller.patch(`${api}/members/${other.userId}`, { role: "guest" }),
  },
  "DELETE /members/:userId": {
    roles: admins,
    isAlone: true,
    send: ({ caller, other }) => caller.delete(`${api}/members/${other.userId}`),
  },
  "GET /events": { roles: everybody, send: ({ caller }) => caller.get(`${api}/events`) },
  "GET /activity": { roles: everybody, send: ({ caller }) => caller.get(`${api}/activity`) },

  // ---- invitations ----
  "GET /invitations": { roles: admins, send: ({ caller }) => caller.get(`${api}/invitations`) },
  "POST /invitations": {
    roles: admins,
    send: ({ caller }) => caller.post(`${api}/invitations`, { email: newEmail(), role: "member" }),
  },
  "POST /invitations/:invitationId/mail": {
    roles: admins,
    send: async (s) => s.caller.post(`${api}/invitations/${await newInvitation(s)}/mail`),
  },
  "DELETE /invitations/:invitationId": {
    roles: admins,
    send: async (s) => s.caller.delete(`${api}/invitations/${await newInvitation(s)}`),
  },
  "PUT /invitations/acceptance": {
    roles: everybody,
    status: 422,
    send: ({ caller }) => caller.put(`${api}/invitations/acceptance`, { token: "x" }),
  },
  "GET /me/invitations": { roles: everybody, send: ({ caller }) => caller.get(`${api}/me/invitations`) },
  "PUT /me/invitations/:invitationId/acceptance": {
    roles: everybody,
    status: 404,
    send: ({ caller }) => caller.put(`${api}/me/invitations/inv_01j00000000000000000000000/acceptance`),
  },

  // ---- API keys ----
  "POST /api-keys": {
    roles: members,
    send: ({ caller }) => caller.post(`${api}/api-keys`, { name: "Deploy", scopes: ["task:read"] }),
  },
  "GET /api-keys": { roles: members, send: ({ caller }) => caller.get(`${api}/api-keys`) },
  "GET /api-keys/:keyId": { roles: members, status: 404, send: ({ caller }) => caller.get(noKey) },
  "PATCH /api-keys/:keyId": { roles: members, status: 404, send: ({ caller }) => caller.patch(noKey, { name: "x" }) },
  "DELETE /api-keys/:keyId": { roles: members, status: 404, send: ({ caller }) => caller.delete(noKey) },

  // ---- labels ----
  "GET /labels": { roles: everybody, send: ({ caller }) => caller.get(`${api}/labels`) },
  "POST /labels": {
    roles: members,
    send: ({ caller }) => caller.post(`${api}/labels`, { name: crypto.randomUUID() }),
  },
  "POST /labels/bulk": {
    roles: members,
    send: ({ caller }) => caller.post(`${api}/labels/bulk`, { labels: [{ name: crypto.randomUUID() }] }),
  },
  "GET /labels/:labelId": { roles: everybody, send: async (s) => s.caller.get(`${api}/labels/${await newLabel(s)}`) },
  "PATCH /labels/:labelId": {
    roles: members,
    send: async (s) => s.caller.patch(`${api}/labels/${await newLabel(s)}`, { color: "#123456" }),
  },
  "DELETE /labels/:labelId": {
    roles: members,
    send: async (s) => s.caller.delete(`${api}/labels/${await newLabel(s)}`),
  },
  "PUT /labels/:labelId/merger": {
    roles: members,
    send: async (s) => s.caller.put(`${api}/labels/${await newLabel(s)}/merger`, { into: await newLabel(s) }),
  },

  // ---- projects ----
  "GET /projects": { roles: everybody, send: ({ caller }) => caller.get(`${api}/projects`) },
  "POST /projects": { roles: members, send: ({ caller }) => caller.post(`${api}/projects`, { name: "New" }) },
  "GET /projects/:projectId": { roles: everybody, level: "view", send: (s) => s.caller.get(project(s)) },
  "PATCH /projects/:projectId": {
    roles: members,
    level: "manage",
    send: (s) => s.caller.patch(project(s), { description: crypto.randomUUID() }),
  },
  "DELETE /projects/:projectId": {
    roles: members,
    level: "manage",
    isAlone: true,
    send: (s) => s.caller.delete(project(s)),
  },
  "GET /projects/:projectId/members": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${project(s)}/members`),
  },
  "GET /projects/:projectId/activity": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${project(s)}/activity`),
  },
  "PUT /projects/:projectId/members/:userId": {
    roles: members,
    level: "manage",
    send: (s) => s.caller.put(`${project(s)}/members/${s.other.userId}`, { level: "view" }),
  },
  "DELETE /projects/:projectId/members/:userId": {
    roles: members,
    level: "manage",
    send: async (s) => {
      await s.owner.put(`${project(s)}/members/${s.other.userId}`, { level: "view" })
      return s.caller.delete(`${project(s)}/members/${s.other.userId}`)
    },
  },

  // ---- tasks ----
  "GET /tasks": { roles: everybody, send: ({ caller }) => caller.get(`${api}/tasks`) },
  "GET /projects/:projectId/tasks": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${project(s)}/tasks`),
  },
  "POST /tasks": {
    roles: everybody,
    level: "edit",
    unseen: 422,
    send: ({ caller, projectId }) => caller.post(`${api}/tasks`, { projectId, title: "New" }),
  },
  "POST /tasks/bulk": {
    roles: everybody,
    level: "edit",
    unseen: 422,
    send: ({ caller, projectId }) => caller.post(`${api}/tasks/bulk`, { tasks: [{ projectId, title: "New" }] }),
  },
  "GET /tasks/:idOrKey/activity": { roles: everybody, level: "view", send: (s) => s.caller.get(`${task(s)}/activity`) },
  "GET /tasks/:idOrKey": { roles: everybody, level: "view", send: (s) => s.caller.get(task(s)) },
  "PATCH /tasks/:idOrKey": {
    roles: everybody,
    level: "edit",
    send: (s) => s.caller.patch(task(s), { title: "Changed" }),
  },
  "DELETE /tasks/:idOrKey": { roles: everybody, level: "edit", send: (s) => s.caller.delete(task(s)) },
  "PUT /tasks/:idOrKey/closure": {
    roles: everybody,
    level: "complete",
    send: (s) => s.caller.put(`${task(s)}/closure`),
  },
  "DELETE /tasks/:idOrKey/closure": {
    roles: everybody,
    level: "complete",
    send: (s) => s.caller.delete(`${task(s)}/closure`),
  },
  "PUT /tasks/:idOrKey/project": {
    roles: everybody,
    level: "edit",
    send: (s) => s.caller.put(`${task(s)}/project`, { projectId: s.projectId }),
  },
  "GET /tasks/:idOrKey/relations": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${task(s)}/relations`),
  },
  "PUT /tasks/:idOrKey/relations/:kind/:otherIdOrKey": {
    roles: everybody,
    level: "edit",
    send: async (s) => s.caller.put(`${task(s)}/relations/relates/${await besideTask(s)}`),
  },
  "DELETE /tasks/:idOrKey/relations/:kind/:otherIdOrKey": {
    roles: everybody,
    level: "edit",
    send: async (s) => s.caller.delete(`${task(s)}/relations/relates/${await besideTask(s)}`),
  },
  "PUT /tasks/:idOrKey/follower": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.put(`${task(s)}/follower`),
  },
  "DELETE /tasks/:idOrKey/follower": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.delete(`${task(s)}/follower`),
  },
  "GET /me/favourites": { roles: everybody, send: (s) => s.caller.get(`${api}/me/favourites`) },
  "PUT /projects/:projectId/favourite": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.put(`${api}/projects/${s.projectId}/favourite`),
  },
  "DELETE /projects/:projectId/favourite": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.delete(`${api}/projects/${s.projectId}/favourite`),
  },

  // ---- comments ----
  "GET /tasks/:idOrKey/comments": { roles: everybody, level: "view", send: (s) => s.caller.get(`${task(s)}/comments`) },
  "POST /tasks/:idOrKey/comments": { roles: everybody, level: "comment", send: (s) => comment(s, s.caller) },
  "GET /tasks/:idOrKey/mentionable": {
    roles: everybody,
    level: "view",
    send: (s) => s.caller.get(`${task(s)}/mentionable?q=b`),
  },
  "GET /comments/:commentId": {
    roles: everybody,
    level: "view",
    send: (s) => onComment(s, s.owner, (path) => s.caller.get(path)),
  },
  // Everybody edits and deletes their own.
  "PATCH /comments/:commentId": {
    roles: everybody,
    level: "comment",
    send: (s) => onComment(s, s.caller, (path) => s.caller.patch(path, { body: "Changed" })),
  },
  "DELETE /comments/:commentId": {
    roles: everybody,
    level: "comment",
    send: (s) => onComment(s, s.caller, (path) => s.caller.delete(path)),
  },
  "PUT /comments/:commentId/reactions/:emoji": {
    roles: everybody,
    level: "comment",
    send: (s) => onComment(s, s.owner, (path) => s.caller.put(`${path}/reactions/${thumb}`)),
  },
  "DELETE /comments/:commentId/reactions/:emoji": {
    roles: everybody,
    level: "comment",
    send: (s) => onComment(s, s.owner, (path) => s.caller.delete(`${path}/reactions/${thumb}`)),
  },
}

async function expectAnswer(name: string, rule: Rule, scene: Scene, expected: number | null): Promise<void> {
  const answer = await rule.send(scene)
  const told = `${name}: ${answer.status} ${await answer.text()}`
  if (expected === null) expect(answer.ok, told).toBe(true)
  else expect(answer.status, told).toBe(expected)
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
      if (role === "guest" && standing === "named to manage") continue
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
