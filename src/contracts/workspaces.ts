import * as z from "zod"
import { Workspace } from "./auth.ts"
import { Cursor, id, Limit, line, page, pathId, Revision, Time } from "./common.ts"

export const WorkspaceProfile = z
  .object({
    id: id("workspace"),
    name: z.string(),
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "WorkspaceProfile" })

export const ListedWorkspace = Workspace.extend({
  isActive: z.boolean().meta({ description: "Whether the access token is for it" }),
  joinedAt: Time,
  deletedAt: Time.nullable().meta({ description: "When it was deleted; an owner can restore it for 30 days" }),
}).meta({ id: "ListedWorkspace" })

export type ListedWorkspaceView = z.output<typeof ListedWorkspace>

export const WorkspaceQuery = z.strictObject({ limit: Limit, cursor: Cursor.optional() })
export type WorkspaceQueryInput = z.output<typeof WorkspaceQuery>
export const WorkspacePage = page(ListedWorkspace)
export const WorkspacePath = z.object({ workspaceId: pathId("workspace") })

const name = line(100)
export const NewWorkspace = z.strictObject({ name })
export const WorkspacePatch = z.strictObject({ name: name.optional(), revision: Revision.optional() })
export const Switch = z.strictObject({ workspaceId: id("workspace") })
