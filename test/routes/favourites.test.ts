import { beforeAll, describe, expect, it } from "vitest"
import { ProjectPage } from "../../src/contracts/projects.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newCaller,
  newProject,
  pageIn,
  pointersIn,
  problemIn,
  walk,
} from "../support/caller.ts"
import { execute } from "../support/database.ts"
import { joined } from "../support/people.ts"
import { nthProject, seedProjects } from "../support/seed.ts"

let ada: Caller
let ben: Caller

beforeAll(async () => {
  ada = await newCaller()
  ben = await joined(ada, "member", "Ben")
})

const pathOf = (projectId: string) => `/api/v1/projects/${projectId}/favourite`

async function favouritesOf(caller: Caller): Promise<string[]> {
  const answer = await caller.get("/api/v1/me/favourites?limit=200")
  expect(costOf(answer).trips).toBe(1)
  return ProjectPage.parse(await answer.json()).data.map(({ id }) => id)
}

describe("favourite projects", () => {
  it("are taken and left, however often it is asked, in two round trips", async () => {
    const project = await newProject(ada)
    for (let time = 0; time < 2; time += 1) {
      const answer = await ada.put(pathOf(project.id))
      expect([answer.status, costOf(answer).trips]).toEqual([204, time === 0 ? 2 : 1])
    }
    expect(await favouritesOf(ada)).toEqual([project.id])
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "member.favourite_added",
      subjectId: ada.userId,
      projectId: null,
      data: { before: null, after: { projectId: project.id } },
    })
    for (let time = 0; time < 2; time += 1) expect((await ada.delete(pathOf(project.id))).status).toBe(204)
    expect(await favouritesOf(ada)).toEqual([])
    expect((await historyOf(ada, ada.userId)).slice(-2)).toEqual(["member.favourite_added", "member.favourite_removed"])
  })

  it("are everybody's own, and told to nobody else", async () => {
    const project = await newProject(ada)
    await ben.put(pathOf(project.id))
    expect([await favouritesOf(ben), await favouritesOf(ada)]).toEqual([[project.id], []])
    const told = async (caller: Caller) =>
      (await eventsOf(caller)).filter(({ type, actorId }) => type.includes("favourite") && actorId === ben.userId)
    expect([(await told(ben)).length, (await told(ada)).length]).toEqual([1, 0])
  })

  it("are those that one sees: not what is closed to them, nor deleted", async () => {
    const cleo = await joined(ada, "member", "Cleo")
    const [open, closed, gone] = [await newProject(ada), await newProject(ada), await newProject(ada)]
    for (const { id } of [open, closed, gone]) await cleo.put(pathOf(id))
    await ada.patch(`/api/v1/projects/${closed.id}`, { visibility: "private" })
    await ada.delete(`/api/v1/projects/${gone.id}`)
    expect(await favouritesOf(cleo)).toEqual([open.id])
    await problemIn(await cleo.put(pathOf(closed.id)), 404)
    await problemIn(await cleo.put(pathOf(gone.id)), 404)
    await problemIn(await (await newCaller()).put(pathOf(open.id)), 404)
    for (const id of ["%00", "none", "prj_01j00000000000000000000000"]) await problemIn(await cleo.put(pathOf(id)), 404)
    await ada.put(`/api/v1/projects/${closed.id}/members/${cleo.userId}`, { level: "view" })
    expect(await favouritesOf(cleo)).toEqual([open.id, closed.id].sort())
  })

  it("come in pages, each once, and with an ETag that changes with them", async () => {
    const host = await newCaller()
    await seedProjects(host, 25)
    await execute(
      "insert into favourites (workspace_id, user_id, project_id, created_at) select workspace_id, created_by, id, 0 from projects where workspace_id = ? and id <> ?",
      host.workspaceId,
      host.inboxId,
    )
    const pages = await walk(host, "/api/v1/me/favourites?limit=10")
    expect(pages.flatMap(({ data }) => data.map(({ id }) => id))).toEqual(
      Array.from({ length: 25 }, (_, n) => nthProject(n)),
    )
    const first = await host.get("/api/v1/me/favourites")
    const etag = first.headers.get("etag") ?? ""
    expect((await host.get("/api/v1/me/favourites", { "if-none-match": etag })).status).toBe(304)
    await host.delete(pathOf(nthProject(3)))
    expect((await host.get("/api/v1/me/favourites", { "if-none-match": etag })).status).toBe(200)
  })

  it("refuse a cursor of another list or of somebody else's, and other parameters", async () => {
    const projects = await newProject(ada)
    const other = await newProject(ada)
    for (const { id } of [projects, other]) for (const caller of [ada, ben]) await caller.put(pathOf(id))
    const { next } = await pageIn(await ada.get("/api/v1/me/favourites?limit=1"))
    expect((await ada.get(`/api/v1/me/favourites?cursor=${next}`)).status).toBe(200)
    expect(await pointersIn(await ben.get(`/api/v1/me/favourites?cursor=${next}`))).toEqual(["?cursor"])
    expect(await pointersIn(await ada.get(`/api/v1/projects?cursor=${next}`))).toEqual(["?cursor"])
    expect(await pointersIn(await ada.get("/api/v1/me/favourites?limit=201"))).toEqual(["?limit"])
    expect(await pointersIn(await ada.get("/api/v1/me/favourites?sort=name"))).toEqual(["?sort"])
  })

  it("count once of several at once", async () => {
    const project = await newProject(ada)
    const answers = await Promise.all([ada, ada, ben].map((caller) => caller.put(pathOf(project.id))))
    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204])
    expect((await favouritesOf(ada)).filter((id) => id === project.id)).toHaveLength(1)
  })
})
