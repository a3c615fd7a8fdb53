import type { Context } from "hono"
import { tagOfRow } from "./conditional.ts"
import type { AppEnv } from "./context.ts"

const collections: Record<string, string> = {
  tsk: "tasks",
  prj: "projects",
  com: "comments",
  key: "api-keys",
  lbl: "labels",
  whk: "webhooks",
}

type Created = { id: string; revision: number; labelIds?: string[] | null }

/** 201 with where the new row is and its ETag. */
export function created<View extends Created>(c: Context<AppEnv>, view: View): Response {
  c.header("location", `/api/v1/${collections[view.id.slice(0, 3)]}/${view.id}`)
  c.header("etag", tagOfRow(view))
  return c.json(view, 201)
}
