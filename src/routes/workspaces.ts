import { Hono } from "hono"
import { Workspace } from "../contracts/auth.ts"
import { Member, MemberPage, MemberPatch, MemberPath, MemberQuery, NewOwner } from "../contracts/members.ts"
import {
  NewWorkspace,
  WorkspacePage,
  WorkspacePatch,
  WorkspacePath,
  WorkspaceProfile,
  WorkspaceQuery,
} from "../contracts/workspaces.ts"
import { createWorkspace } from "../domain/founding.ts"
import * as members from "../domain/members.ts"
import * as workspaces from "../domain/workspaces.ts"
import { conditional, expectedRevision } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, cachedOperation, operation, params, query } from "../http/contract.ts"
import { page } from "../http/pagination.ts"

export const workspaceRoutes = new Hono<AppEnv>()

workspaceRoutes.get("/workspaces", operation("List my workspaces", WorkspacePage), query(WorkspaceQuery), async (c) => {
  c.header("cache-control", "private, no-cache")
  return c.json(await workspaces.listWorkspaces(c.var.ctx, c.req.valid("query")))
})

workspaceRoutes.post(
  "/workspaces",
  operation("Create a workspace", Workspace, 201, {
    description: "The access token stays with the active one: POST /auth/switch gives tokens for another.",
  }),
  body(NewWorkspace),
  async (c) => c.json(await createWorkspace(c.var.ctx, c.req.valid("json").name), 201),
)

workspaceRoutes.get(
  "/workspaces/:workspaceId",
  cachedOperation("Get the active workspace", WorkspaceProfile),
  params(WorkspacePath),
  async (c) => {
    const workspace = await workspaces.getWorkspace(c.var.ctx, c.req.valid("param").workspaceId)
    return conditional(c, workspace, workspace)
  },
)

workspaceRoutes.patch(
  "/workspaces/:workspaceId",
  operation("Rename the active workspace", WorkspaceProfile),
  params(WorkspacePath),
  body(WorkspacePatch),
  async (c) => {
    const { name, revision } = c.req.valid("json")
    const { workspaceId } = c.req.valid("param")
    const workspace = await workspaces.renameWorkspace(c.var.ctx, workspaceId, name, expectedRevision(c, revision))
    return conditional(c, workspace, workspace)
  },
)

workspaceRoutes.delete(
  "/workspaces/:workspaceId",
  operation("Delete the active workspace", null, 204, { description: "An owner can restore it for 30 days." }),
  params(WorkspacePath),
  async (c) => {
    await workspaces.deleteWorkspace(c.var.ctx, c.req.valid("param").workspaceId, expectedRevision(c))
    return c.body(null, 204)
  },
)

workspaceRoutes.put(
  "/workspaces/:workspaceId/restoration",
  operation("Restore a deleted workspace that I own", WorkspaceProfile),
  params(WorkspacePath),
  async (c) => {
    const workspace = await workspaces.restoreWorkspace(c.var.ctx, c.req.valid("param").workspaceId)
    return conditional(c, workspace, workspace)
  },
)

workspaceRoutes.put(
  "/workspaces/:workspaceId/owner",
  operation("Hand the active workspace to another member, and become an admin", Member),
  params(WorkspacePath),
  body(NewOwner),
  async (c) => {
    workspaces.mustBeActive(c.var.ctx, c.req.valid("param").workspaceId)
    const member = await members.transferOwnership(c.var.ctx, c.req.valid("json").userId)
    return conditional(c, member, member)
  },
)

// ---- who is in it ----

workspaceRoutes.get("/members", cachedOperation("List members", MemberPage), query(MemberQuery), async (c) =>
  page(c, await members.listMembers(c.var.ctx, c.req.valid("query"))),
)

workspaceRoutes.patch(
  "/members/:userId",
  operation("Change a member's role", Member),
  params(MemberPath),
  body(MemberPatch),
  async (c) => {
    const { role, revision } = c.req.valid("json")
    const { userId } = c.req.valid("param")
    const member = await members.changeRole(c.var.ctx, userId, role, expectedRevision(c, revision))
    return conditional(c, member, member)
  },
)

workspaceRoutes.delete(
  "/members/:userId",
  operation("Remove a member, or leave", null, 204, {
    description: "With one's own id it is leaving. The last owner cannot leave.",
  }),
  params(MemberPath),
  async (c) => {
    await members.removeMember(c.var.ctx, c.req.valid("param").userId)
    return c.body(null, 204)
  },
)
