import { Hono } from "hono"
import { FavouriteQuery, ProjectPage, ProjectPath } from "../contracts/projects.ts"
import { favour, listFavourites } from "../domain/favourites.ts"
import type { AppEnv } from "../http/context.ts"
import { cachedOperation, operation, params, query } from "../http/contract.ts"
import { page } from "../http/pagination.ts"

export const favouriteRoutes = new Hono<AppEnv>()

favouriteRoutes.get(
  "/me/favourites",
  cachedOperation("List my favourite projects", ProjectPage),
  query(FavouriteQuery),
  async (c) => page(c, await listFavourites(c.var.ctx, c.req.valid("query"))),
)

favouriteRoutes.put(
  "/projects/:projectId/favourite",
  operation("Make a project one of my favourites"),
  params(ProjectPath),
  async (c) => {
    await favour(c.var.ctx, c.req.valid("param").projectId, true)
    return c.body(null, 204)
  },
)

favouriteRoutes.delete(
  "/projects/:projectId/favourite",
  operation("Take a project off my favourites"),
  params(ProjectPath),
  async (c) => {
    await favour(c.var.ctx, c.req.valid("param").projectId, false)
    return c.body(null, 204)
  },
)
