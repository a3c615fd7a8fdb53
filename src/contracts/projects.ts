import * as z from "zod"
import { levelNames } from "../lib/roles.ts"
import { Base, Cursor, chosenId, id, Limit, line, markdown, page, pathId, Revision, sortBy, Time } from "./common.ts"
import { Role } from "./members.ts"

const description = markdown(65_536)

export const Visibility = z.enum(["workspace", "private"]).meta({
  description: "workspace: open to all members but guests. private: to those named to it, and to owners",
})

export const Project = z
  .object({
    id: id("project"),
    key: z.string().meta({ description: "Begins the keys of its tasks: WEB in WEB-42. Never changes" }),
    name: z.string(),
    description: z.string(),
    visibility: Visibility,
    isInbox: z.boolean(),
    revision: Revision,
    createdBy: id("user"),
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Project" })

export type ProjectView = z.output<typeof Project>

export const NewProject = z.strictObject({
  id: chosenId("project"),
  name: line(200),
  description: description.default(""),
  visibility: Visibility.default("workspace"),
  key: z
    .string()
    .regex(/^[A-Z]{2,6}$/, { error: "must be 2 to 6 capital letters" })
    .optional()
    .meta({ description: "Chosen from the name when omitted" }),
})

export const ProjectPatch = z.strictObject({
  name: line(200).optional(),
  description: description.optional(),
  visibility: Visibility.optional(),
  revision: Revision.optional(),
  base: Base,
})

export type NewProjectInput = z.output<typeof NewProject>
export type ProjectPatchInput = z.output<typeof ProjectPatch>

export const projectSorts = ["created", "updated"] as const
export const ProjectQuery = z.strictObject({
  sort: sortBy(projectSorts).default("created"),
  limit: Limit,
  cursor: Cursor.optional(),
})
export type ProjectQueryInput = z.output<typeof ProjectQuery>
export const ProjectPage = page(Project)
export const FavouriteQuery = z.strictObject({ limit: Limit, cursor: Cursor.optional() })
export type FavouriteQueryInput = z.output<typeof FavouriteQuery>
export const ProjectPath = z.object({ projectId: pathId("project") })

// ---- who is named to a project ----

export const Level = z.enum(levelNames).meta({
  id: "Level",
  description: "What somebody may do in a project; each includes the ones before it",
})

export const ProjectMember = z
  .object({
    userId: id("user"),
    name: z.string(),
    role: Role,
    level: Level,
    createdAt: Time,
  })
  .meta({ id: "ProjectMember", description: "Somebody named to a project" })

export type ProjectMemberView = z.output<typeof ProjectMember>

export const ProjectMemberPage = page(ProjectMember)
export const ProjectMemberQuery = z.strictObject({ limit: Limit, cursor: Cursor.optional() })
export const ProjectMemberPath = z.object({ projectId: pathId("project"), userId: pathId("user") })
export const Naming = z.strictObject({ level: Level })
