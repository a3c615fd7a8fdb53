import { Hono } from "hono"
import { NewProject, Project, ProjectPage, ProjectPatch, ProjectPath, ProjectQuery } from "../contracts/projects.ts"
import * as projects from "../domain/projects.ts"
import { conditional, expectedRevision } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, operation, params, query } from "../http/contract.ts"
import { created } from "../http/created.ts"
import { page } from "../http/pagination.ts"

export const projectRoutes = new Hono<AppEnv>()

projectRoutes.get("/projects", operation("List projects", ProjectPage), query(ProjectQuery), async (c) =>
  page(c, await projects.listProjects(c.var.ctx, c.req.valid("query"))),
)

projectRoutes.post("/projects", operation("Create a project", Project, 201), body(NewProject), async (c) =>
  created(c, await projects.createProject(c.var.ctx, c.req.valid("json"))),
)

projectRoutes.get("/projects/:projectId", operation("Get a project", Project), params(ProjectPath), async (c) => {
  const project = await projects.getProject(c.var.ctx, c.req.valid("param").projectId)
  return conditional(c, project, project)
})

projectRoutes.patch(
  "/projects/:projectId",
  operation("Change a project", Project),
  params(ProjectPath),
  body(ProjectPatch),
  async (c) => {
    const { revision, ...patch } = c.req.valid("json")
    const { projectId } = c.req.valid("param")
    const project = await projects.updateProject(c.var.ctx, projectId, patch, expectedRevision(c, revision))
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
