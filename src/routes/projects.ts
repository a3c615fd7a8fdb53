import { Hono } from "hono"
import {
  Naming,
  NewProject,
  Project,
  ProjectMember,
  ProjectMemberPage,
  ProjectMemberPath,
  ProjectMemberQuery,
  ProjectPage,
  ProjectPatch,
  ProjectPath,
  ProjectQuery,
} from "../contracts/projects.ts"
import { listProjects } from "../domain/project-lists.ts"
import { listProjectMembers, nameMember, unnameMember } from "../domain/project-members.ts"
import * as projects from "../domain/projects.ts"
import { conditional, expectedRevision, knownRevision, whole } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, cachedOperation, operation, params, query } from "../http/contract.ts"
import { created } from "../http/created.ts"
import { page } from "../http/pagination.ts"

export const projectRoutes = new Hono<AppEnv>()

projectRoutes.get("/projects", cachedOperation("List projects", ProjectPage), query(ProjectQuery), async (c) =>
  page(c, await listProjects(c.var.ctx, c.req.valid("query"))),
)

projectRoutes.post("/projects", operation("Create a project", Project, 201), body(NewProject), async (c) =>
  created(c, await projects.createProject(c.var.ctx, c.req.valid("json"))),
)

projectRoutes.get("/projects/:projectId", cachedOperation("Get a project", Project), params(ProjectPath), async (c) => {
  const project = await projects.getProject(c.var.ctx, c.req.valid("param").projectId)
  return conditional(c, project, project)
})

projectRoutes.patch(
  "/projects/:projectId",
  operation("Change a project", Project),
  params(ProjectPath),
  body(ProjectPatch),
  async (c) => {
    const { revision, base, ...patch } = c.req.valid("json")
    const { projectId } = c.req.valid("param")
    const project = await projects.updateProject(c.var.ctx, projectId, patch, knownRevision(c, { revision, base }))
    return conditional(c, project, project)
  },
)

projectRoutes.delete(
  "/projects/:projectId",
  operation("Delete a project, and hide its tasks"),
  params(ProjectPath),
  async (c) => {
    await projects.deleteProject(c.var.ctx, c.req.valid("param").projectId, expectedRevision(c))
    return c.body(null, 204)
  },
)

projectRoutes.get(
  "/projects/:projectId/members",
  cachedOperation("List the people named to a project", ProjectMemberPage, {
    description: "In a project that is open to the workspace, members who are not named can edit all the same.",
  }),
  params(ProjectPath),
  query(ProjectMemberQuery),
  async (c) => {
    return whole(c, await listProjectMembers(c.var.ctx, c.req.valid("param").projectId, c.req.valid("query")))
  },
)

projectRoutes.put(
  "/projects/:projectId/members/:userId",
  operation("Name a member to a project, or change their level there", ProjectMember),
  params(ProjectMemberPath),
  body(Naming),
  async (c) => {
    const { projectId, userId } = c.req.valid("param")
    return c.json(await nameMember(c.var.ctx, projectId, userId, c.req.valid("json").level))
  },
)

projectRoutes.delete(
  "/projects/:projectId/members/:userId",
  operation("Take a member's name off a project"),
  params(ProjectMemberPath),
  async (c) => {
    const { projectId, userId } = c.req.valid("param")
    await unnameMember(c.var.ctx, projectId, userId)
    return c.body(null, 204)
  },
)
