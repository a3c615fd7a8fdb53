import type { Context } from "hono"
import type { AppEnv } from "./context.ts"

const collections: Record<string, string> = { tsk: "tasks", prj: "projects" }

type Created = { id: string; revision: number }

/** 201 with where the new row is and its ETag. */
export function created<View extends Created>(c: Context<AppEnv>, view: View): Response {
  c.header("location", `/api/v1/${collections[view.id.slice(0, 3)]}/${view.id}`)
  c.header("etag", `"${view.revision}"`)
  return c.json(view, 201)
}
