import * as z from "zod"
import { Cursor, id, Limit, line, markdown, page, pathId, Revision, sortBy, Time } from "./common.ts"

const description = markdown(65_536)

export const Project = z
  .object({
    id: id("project"),
    key: z.string().meta({ description: "Begins the keys of its tasks: WEB in WEB-42. Never changes" }),
    name: z.string(),
    description: z.string(),
    isInbox: z.boolean(),
    revision: Revision,
    createdBy: id("user"),
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Project" })

export type ProjectView = z.output<typeof Project>

export const NewProject = z.strictObject({
  name: line(200),
  description: description.default(""),
  key: z
    .string()
    .regex(/^[A-Z]{2,6}$/, { error: "must be 2 to 6 capital letters" })
    .optional()
    .meta({ description: "Chosen from the name when omitted" }),
})

export const ProjectPatch = z.strictObject({
  name: line(200).optional(),
  description: description.optional(),
  revision: Revision.optional(),
})

export const projectSorts = ["created", "updated"] as const
export const ProjectQuery = z.strictObject({
  sort: sortBy(projectSorts).default("created"),
  limit: Limit,
  cursor: Cursor.optional(),
})
export const ProjectPage = page(Project)
export const ProjectPath = z.object({ projectId: pathId("project") })
