import * as fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { Comment, CommentPage, type CommentView, Mentionable } from "../../src/contracts/comments.ts"
import { findMentions } from "../../src/domain/markdown.ts"
import { mentionsIn } from "../../src/domain/mentions.ts"
import { withReaction } from "../../src/domain/reactions.ts"
import { toEmoji } from "../../src/lib/emoji.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newCaller,
  newProject,
  newTask,
  pointersIn,
  problemIn,
  walk,
} from "../support/caller.ts"
import { execute, rowsOf } from "../support/database.ts"
import { between, isCommit, losing } from "../support/faults.ts"
import { joined } from "../support/people.ts"

let ada: Caller
let bob: Caller
let guest: Caller
let stranger: Caller

beforeAll(async () => {
  ada = await newCaller()
  bob = await joined(ada, "member", "Bob Olsen")
  guest = await joined(ada, "guest", "Gül Test")
  stranger = await newCaller()
})

async function commentIn(answer: Response): Promise<CommentView> {
  const text = await answer.text()
  if (answer.status !== 200 && answer.status !== 201) throw new Error(`${answer.status}: ${text}`)
  return Comment.parse(JSON.parse(text))
}

const listIn = async (answer: Response) => CommentPage.parse(await answer.json())

const say = (caller: Caller, task: { id: string }, body: string, headers?: Record<string, string>) =>
  caller.post(`/api/v1/tasks/${task.id}/comments`, { body }, headers)

const newComment = async (caller: Caller, task: { id: string }, body = "Looks good"): Promise<CommentView> =>
  commentIn(await say(caller, task, body))

const of = ({ id }: { id: string }) => `/api/v1/comments/${id}`
const reaction = (comment: { id: string }, emoji: string) => `${of(comment)}/reactions/${encodeURIComponent(emoji)}`

const nameTo = (projectId: string, { userId }: Caller, level: string) =>
  ada.put(`/api/v1/projects/${projectId}/members/${userId}`, { level })

describe("POST /tasks/:idOrKey/comments", () => {
  it("adds a comment to a task by its id or key, in two round trips, and tells the log", async () => {
    const task = await newTask(ada)
    for (const name of [task.id, task.key]) {
      const answer = await ada.post(`/api/v1/tasks/${name}/comments`, { body: "**Done**, I think" })
      expect(answer.status).toBe(201)
      expect(costOf(answer).trips).toBe(2)
      const comment = await commentIn(answer)
      expect(answer.headers.get("location")).toBe(of(comment))
      expect(answer.headers.get("etag")).toBe('"1"')
      expect(comment).toMatchObject({
        taskId: task.id,
        body: "**Done**, I think",
        mentionIds: [],
        reactions: [],
        author: { id: ada.userId, name: "Ada" },
        createdBy: ada.userId,
        revision: 1,
        editedAt: null,
        deletedAt: null,
      })
      expect(await commentIn(await ada.get(of(comment)))).toEqual(comment)
      expect((await eventsOf(ada)).at(-1)).toMatchObject({
        type: "comment.created",
        subjectId: comment.id,
        projectId: task.projectId,
        data: { before: null, after: comment },
      })
    }
  })

  it("is done once for one Idempotency-Key, and answers the same again", async () => {
    const task = await newTask(ada)
    const first = await say(ada, task, "once", { "idempotency-key": "c1" })
    const again = await say(ada, task, "once", { "idempotency-key": "c1" })
    expect(again.headers.get("idempotency-replayed")).toBe("true")
    expect(again.headers.get("location")).toBe(first.headers.get("location"))
    expect(await again.json()).toEqual(await first.json())
    expect((await listIn(await ada.get(`/api/v1/tasks/${task.id}/comments`))).data).toHaveLength(1)
  })

  it("is done once when the answer of the database is lost, or the connection before", async () => {
    for (const when of ["before", "after"] as const) {
      const task = await newTask(ada)
      const faulty = ada.through(await openApp({ database: losing(when, 1) }))
      const comment = await newComment(faulty, task)
      expect(await historyOf(ada, comment.id)).toEqual(["comment.created"])
    }
  })

  it("refuses an empty text, one of more than 65,536 bytes, and NUL, and names the field", async () => {
    const task = await newTask(ada)
    expect(await pointersIn(await ada.post(`/api/v1/tasks/${task.id}/comments`, {}))).toEqual(["/body"])
    for (const body of ["", " \n", "é".repeat(32_769), "a\0b", "\ud800"]) {
      expect(await pointersIn(await say(ada, task, body))).toEqual(["/body"])
    }
    expect((await newComment(ada, task, "é".repeat(32_768))).body).toHaveLength(32_768)
  })

  it("takes the level comment: 403 to whoever may only view, 404 to whoever does not see the task", async () => {
    const project = await newProject(ada, { visibility: "private" })
    const task = await newTask(ada, { projectId: project.id })
    for (const person of [bob, guest, stranger]) await problemIn(await say(person, task, "x"), 404)
    for (const person of [bob, guest]) {
      await nameTo(project.id, person, "view")
      expect((await problemIn(await say(person, task, "x"), 403)).code).toBe("forbidden")
      expect((await person.get(`/api/v1/tasks/${task.id}/comments`)).status).toBe(200)
      await nameTo(project.id, person, "comment")
      expect((await newComment(person, task)).createdBy).toBe(person.userId)
    }
  })

  it("is 404 for a task that is deleted, or in a deleted project", async () => {
    const project = await newProject(ada)
    const [task, other] = [await newTask(ada, { projectId: project.id }), await newTask(ada, { projectId: project.id })]
    const [comment, another] = [await newComment(ada, task), await newComment(ada, other)]
    await ada.delete(`/api/v1/tasks/${task.id}`)
    const expectGone = async (gone: CommentView) => {
      await problemIn(await say(ada, { id: gone.taskId }, "x"), 404)
      await problemIn(await ada.get(`/api/v1/tasks/${gone.taskId}/comments`), 404)
      await problemIn(await ada.get(`/api/v1/tasks/${gone.taskId}/mentionable`), 404)
      await problemIn(await ada.get(of(gone)), 404)
      await problemIn(await ada.patch(of(gone), { body: "x" }), 404)
      await problemIn(await ada.put(reaction(gone, "👍")), 404)
      await problemIn(await ada.delete(of(gone)), 404)
    }
    await expectGone(comment)
    await ada.delete(`/api/v1/projects/${project.id}`)
    await expectGone(another)
  })
})

describe("a task that changes while a comment arrives", () => {
  /** An app in whose first commit something happens just before. */
  const interrupted = async (happens: () => Promise<unknown>) => {
    let left = 1
    const database = between(async (batch) => {
      if (isCommit(batch) && left > 0) {
        left -= 1
        await happens()
      }
      return batch.run()
    })
    return ada.through(await openApp({ database }))
  }
  const move = (task: { id: string }, projectId: string) =>
    execute("update tasks set project_id = ? where workspace_id = ? and id = ?", projectId, ada.workspaceId, task.id)

  it("has it in the project to which it was moved", async () => {
    const [from, to] = [await newProject(ada), await newProject(ada)]
    const task = await newTask(ada, { projectId: from.id })
    const comment = await newComment(await interrupted(() => move(task, to.id)), task)
    expect((await eventsOf(ada)).at(-1)).toMatchObject({ subjectId: comment.id, projectId: to.id })
    for (const [act, type] of [
      [(caller: Caller) => caller.patch(of(comment), { body: "again" }), "comment.updated"],
      [(caller: Caller) => caller.put(reaction(comment, "👍")), "comment.reacted"],
      [(caller: Caller) => caller.delete(of(comment)), "comment.deleted"],
    ] as const) {
      await move(task, from.id)
      expect((await act(await interrupted(() => move(task, to.id)))).status).toBeLessThan(300)
      expect((await eventsOf(ada)).at(-1)).toMatchObject({ type, projectId: to.id })
    }
  })

  it("is 404 when it was deleted, and nothing is written", async () => {
    const task = await newTask(ada)
    const before = (await eventsOf(ada)).length
    await problemIn(await say(await interrupted(() => ada.delete(`/api/v1/tasks/${task.id}`)), task, "x"), 404)
    expect((await eventsOf(ada)).slice(before).map(({ type }) => type)).toEqual(["task.deleted"])
    expect(await rowsOf("select id from comments where task_id = ?", task.id)).toEqual([])
  })
})

describe("GET /tasks/:idOrKey/comments", () => {
  it("lists by id or key in both directions, a page in one round trip", async () => {
    const task = await newTask(ada)
    const said: string[] = []
    for (let n = 0; n < 5; n += 1) said.push((await newComment(ada, task, `${n}`)).id)
    await newComment(ada, await newTask(ada))
    for (const name of [task.id, task.key]) {
      const path = `/api/v1/tasks/${name}/comments`
      const pages = await walk(ada, `${path}?limit=2`)
      expect(pages.map(({ data }) => data.length)).toEqual([2, 2, 1])
      expect(pages.flatMap(({ data }) => data.map(({ id }) => id))).toEqual(said)
      const back = await walk(ada, `${path}?limit=2&sort=-created`)
      expect(back.flatMap(({ data }) => data.map(({ id }) => id))).toEqual(said.toReversed())
      expect(costOf(await ada.get(`${path}?render=html`)).trips).toBe(1)
    }
  })

  it("answers 304 until something happens, and refuses another list's cursor", async () => {
    const task = await newTask(ada)
    const path = `/api/v1/tasks/${task.id}/comments`
    await newComment(ada, task)
    await newComment(ada, task)
    const etag = (await ada.get(path)).headers.get("etag") ?? ""
    expect((await ada.get(path, { "if-none-match": etag })).status).toBe(304)
    await newComment(ada, task)
    expect((await ada.get(path, { "if-none-match": etag })).status).toBe(200)
    const { next } = await listIn(await ada.get(`${path}?limit=1`))
    expect(await pointersIn(await ada.get(`${path}?limit=1&sort=-created&cursor=${next}`))).toEqual(["?cursor"])
    for (const query of ["sort=updated", "limit=0", "render=pdf"]) {
      expect(await pointersIn(await ada.get(`${path}?${query}`))).toEqual([`?${query.split("=")[0]}`])
    }
  })

  it("has safe HTML beside the text when asked, and then no more than 128 KiB of Markdown in a page", async () => {
    const task = await newTask(ada)
    const comment = await newComment(ada, task, `*Hi* <script>alert(1)</script> @[Bob](${bob.userId}) @gul @nobody`)
    const html = `<p><em>Hi</em> &lt;script&gt;alert(1)&lt;/script&gt; <span class="mention" data-user="${bob.userId}">@Bob Olsen</span> @gul @nobody</p>`
    expect((await commentIn(await ada.get(`${of(comment)}?render=html`))).html).toBe(html)
    for (let n = 0; n < 3; n += 1) await newComment(ada, task, "x".repeat(65_000))
    const path = `/api/v1/tasks/${task.id}/comments?render=html`
    const pages = await walk(ada, path)
    expect(pages.map(({ data }) => data.length)).toEqual([3, 1])
    expect(pages[0]?.data[0]?.["html"]).toBe(html)
    expect((await listIn(await ada.get(path.replace("?render=html", "")))).data).toHaveLength(4)
  })
})

describe("PATCH /comments/:commentId", () => {
  it("changes the text in two round trips, says when, and tells the log", async () => {
    const comment = await newComment(ada, await newTask(ada), "first")
    const answer = await ada.patch(of(comment), { body: "second @bob" })
    expect(costOf(answer).trips).toBe(2)
    const edited = await commentIn(answer)
    expect(edited).toMatchObject({ body: "second @bob", mentionIds: [bob.userId], revision: 2 })
    expect(edited.editedAt).toBe(edited.updatedAt)
    expect(await commentIn(await ada.get(of(comment)))).toEqual(edited)
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "comment.updated",
      data: {
        before: { mentionIds: [], editedAt: null },
        after: { mentionIds: [bob.userId], editedAt: edited.editedAt },
      },
    })
  })

  it("changes nothing for the same text, and refuses a stale revision", async () => {
    const comment = await newComment(ada, await newTask(ada))
    expect(await commentIn(await ada.patch(of(comment), { body: comment.body }))).toEqual(comment)
    await problemIn(await ada.patch(of(comment), { body: "x", revision: 2 }), 412)
    await problemIn(await ada.patch(of(comment), { body: "x" }, { "if-match": '"7"' }), 412)
    expect(await historyOf(ada, comment.id)).toEqual(["comment.created"])
  })

  it("is for the author alone: 403 for others, an owner among them, and 404 for whoever does not see it", async () => {
    const comment = await newComment(bob, await newTask(ada))
    expect((await problemIn(await ada.patch(of(comment), { body: "x" }), 403)).code).toBe("forbidden")
    await problemIn(await guest.patch(of(comment), { body: "x" }), 404)
    await problemIn(await stranger.patch(of(comment), { body: "x" }), 404)
    await problemIn(await ada.patch("/api/v1/comments/com_x", { body: "x" }), 404)
  })

  it("lets one of two edits at once win when both insist on a revision, and applies both otherwise", async () => {
    const comment = await newComment(ada, await newTask(ada))
    const insisting = ["a", "b"].map((body) => ada.patch(of(comment), { body, revision: 1 }))
    expect((await Promise.all(insisting)).map(({ status }) => status).sort()).toEqual([200, 412])
    const both = await Promise.all(["c", "d"].map((body) => ada.patch(of(comment), { body })))
    expect(both.map(({ status }) => status)).toEqual([200, 200])
    expect(await commentIn(await ada.get(of(comment)))).toMatchObject({ revision: 4 })
    expect(await historyOf(ada, comment.id)).toEqual(["comment.created", ...Array(3).fill("comment.updated")])
  })
})

describe("DELETE /comments/:commentId", () => {
  it("takes text, mentions and reactions away and leaves the place, in two round trips", async () => {
    const task = await newTask(ada)
    const comment = await newComment(ada, task, "secret for @bob")
    await newComment(ada, task, "an answer")
    await bob.put(reaction(comment, "🎉"))
    const answer = await ada.delete(of(comment))
    expect([answer.status, costOf(answer).trips]).toEqual([204, 2])
    const { data } = await listIn(await ada.get(`/api/v1/tasks/${task.id}/comments?render=html`))
    expect(data.map(({ body }) => body)).toEqual(["", "an answer"])
    expect(data[0]).toMatchObject({ id: comment.id, mentionIds: [], reactions: [], revision: 3, html: "" })
    expect(data[0]?.deletedAt).not.toBeNull()
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "comment.deleted",
      data: { before: { id: comment.id }, after: null },
    })
    expect(await rowsOf("select emoji from reactions where comment_id = ?", comment.id)).toEqual([])
    for (const again of [
      ada.get(of(comment)),
      ada.delete(of(comment)),
      ada.patch(of(comment), { body: "x" }),
      ada.put(reaction(comment, "👍")),
    ]) {
      await problemIn(await again, 404)
    }
  })

  it("takes the text out of the log, and of what a repeat of its creation is told", async () => {
    const task = await newTask(ada)
    const headers = { "idempotency-key": crypto.randomUUID() }
    const comment = await commentIn(await say(ada, task, "first secret", headers))
    const once = () => ({ "idempotency-key": crypto.randomUUID() })
    const [edit, react] = [once(), once()]
    const editing = { body: "second secret" }
    const edited = await commentIn(await ada.patch(of(comment), editing, edit))
    // What an edit takes back is gone from the log with it.
    expect(JSON.stringify(await eventsOf(ada))).not.toMatch(/first secret|second secret/)
    expect(await commentIn(await ada.patch(of(comment), editing, edit))).toEqual(edited)
    const reacted = await commentIn(await bob.put(reaction(comment, "👍"), undefined, react))
    expect(await commentIn(await bob.put(reaction(comment, "👍"), undefined, react))).toEqual(reacted)
    await newComment(ada, task, "no secret")
    await ada.delete(of(comment))
    const feed = await (await ada.get(`/api/v1/tasks/${task.id}/activity`)).text()
    const log = JSON.stringify(await eventsOf(ada))
    const stored = [...(await rowsOf("select data from events")), ...(await rowsOf("select body from receipts"))]
    for (const told of [feed, log, JSON.stringify(stored)]) {
      expect(told).not.toMatch(/first secret|second secret/)
    }
    expect(log).toContain("no secret")
    expect(await historyOf(ada, comment.id)).toEqual([
      "comment.created",
      "comment.updated",
      "comment.reacted",
      "comment.deleted",
    ])
    // Whoever repeats what they did is told what they were told, without what was taken back.
    expect(await commentIn(await ada.patch(of(comment), editing, edit))).toEqual({ ...edited, body: "" })
    expect(await commentIn(await bob.put(reaction(comment, "👍"), undefined, react))).toEqual({ ...reacted, body: "" })
    const again = await say(ada, task, "first secret", headers)
    expect(again.headers.get("idempotency-replayed")).toBe("true")
    expect(await commentIn(again)).toMatchObject({ id: comment.id, body: "", revision: 1 })
  })

  it("is for the author and whoever manages the project, and for nobody else", async () => {
    const project = await newProject(bob)
    const task = await newTask(ada, { projectId: project.id })
    const admin = await joined(ada, "admin")
    const member = await joined(ada, "member")
    await nameTo(project.id, guest, "comment")
    const write = () => newComment(guest, task)
    await problemIn(await member.delete(of(await write())), 403)
    await problemIn(await stranger.delete(of(await write())), 404)
    for (const person of [guest, bob, admin, ada]) expect((await person.delete(of(await write()))).status).toBe(204)
    await problemIn(await ada.delete(of(await write()), { "if-match": '"2"' }), 412)
  })

  it("leaves no reaction when somebody reacts in the same moment", async () => {
    for (let round = 0; round < 4; round += 1) {
      const comment = await newComment(ada, await newTask(ada))
      const [deleted, reacted] = await Promise.all([ada.delete(of(comment)), bob.put(reaction(comment, "👍"))])
      expect(deleted?.status).toBe(204)
      expect([200, 404]).toContain(reacted?.status)
      expect(await rowsOf("select emoji from reactions where comment_id = ?", comment.id)).toEqual([])
      const types = await historyOf(ada, comment.id)
      expect(types.at(-1)).toBe("comment.deleted")
      expect(types.includes("comment.reacted")).toBe(reacted?.status === 200)
    }
  })
})

describe("PUT and DELETE /comments/:commentId/reactions/:emoji", () => {
  it("adds and takes back a reaction in two round trips each, and tells the log", async () => {
    const task = await newTask(ada)
    const comment = await newComment(ada, task)
    const answer = await bob.put(reaction(comment, "👍"))
    expect(costOf(answer).trips).toBe(2)
    const once = await commentIn(answer)
    expect(once).toMatchObject({ revision: 2, editedAt: null })
    expect(once.reactions).toEqual([{ emoji: "👍", userIds: [bob.userId], count: 1 }])
    expect(await commentIn(await ada.get(of(comment)))).toEqual(once)
    const both = await commentIn(await ada.put(reaction(comment, "👍")))
    expect(both.reactions).toEqual([{ emoji: "👍", userIds: [ada.userId, bob.userId].sort(), count: 2 }])
    expect((await listIn(await ada.get(`/api/v1/tasks/${task.id}/comments`))).data[0]).toEqual(both)

    const back = await bob.delete(reaction(comment, "👍"))
    expect(costOf(back).trips).toBe(2)
    expect((await commentIn(back)).reactions).toEqual([{ emoji: "👍", userIds: [ada.userId], count: 1 }])
    const told = { emoji: "👍", userId: bob.userId }
    const history = (await eventsOf(ada)).filter(({ subjectId }) => subjectId === comment.id)
    expect(history.at(1)).toMatchObject({ type: "comment.reacted", data: { before: null, after: told } })
    expect(history.at(-1)).toMatchObject({ type: "comment.unreacted", data: { before: told, after: null } })
    expect((await commentIn(await ada.delete(reaction(comment, "👍")))).reactions).toEqual([])
  })

  it("changes nothing the second time, also when asked twice at once or with a key", async () => {
    const comment = await newComment(ada, await newTask(ada))
    const put = () => bob.put(reaction(comment, "🎉"), undefined, { "idempotency-key": "r1" })
    const answers = await Promise.all([bob.put(reaction(comment, "👍")), bob.put(reaction(comment, "👍"))])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    await put()
    expect((await put()).headers.get("idempotency-replayed")).toBe("true")
    expect((await commentIn(await ada.get(of(comment)))).revision).toBe(3)
    for (const _ of [1, 2]) expect((await bob.delete(reaction(comment, "👍"))).status).toBe(200)
    expect(await historyOf(ada, comment.id)).toEqual([
      "comment.created",
      "comment.reacted",
      "comment.reacted",
      "comment.unreacted",
    ])
  })

  it("keeps the order in which emoji came, and each once however it is spelt", async () => {
    const comment = await newComment(ada, await newTask(ada))
    for (const emoji of ["🚀", "❤️", "👩🏽‍❤️‍💋‍👨🏿", "🇩🇪", "1️⃣"]) await ada.put(reaction(comment, emoji))
    await bob.put(reaction(comment, "❤"))
    const { reactions } = await commentIn(await ada.get(of(comment)))
    expect(reactions.map(({ emoji, count }) => [emoji, count])).toEqual([
      ["🚀", 1],
      ["❤️", 2],
      ["👩🏽‍❤️‍💋‍👨🏿", 1],
      ["🇩🇪", 1],
      ["1️⃣", 1],
    ])
  })

  it("refuses what is not one emoji with 422 and the field", async () => {
    const comment = await newComment(ada, await newTask(ada))
    for (const text of [
      "a",
      "1",
      "👍👍",
      "👍a",
      ":+1:",
      "#",
      "<b>",
      "\u200d",
      "👍\u0301",
      "👍".repeat(40),
      "%",
      "\0",
    ]) {
      expect(await pointersIn(await ada.put(reaction(comment, text))), text).toEqual(["/emoji"])
    }
    expect(await pointersIn(await ada.put(`${of(comment)}/reactions/%F0%9F`))).toEqual(["/emoji"])
  })

  it("takes 20 different emoji and 1,000 reactions at most", async () => {
    const comment = await newComment(ada, await newTask(ada))
    const emoji = [..."😀😁😂🤣😃😄😅😆😉😊😋😎😍😘🥰😗😙😚🙂🤗🤩"]
    for (const one of emoji.slice(0, 20)) expect((await ada.put(reaction(comment, one))).status).toBe(200)
    await problemIn(await ada.put(reaction(comment, emoji[20] ?? "")), 409)
    expect((await bob.put(reaction(comment, "😀"))).status).toBe(200)
    const seeded = Array.from({ length: 979 }, (_, n) => `('${ada.workspaceId}', '${comment.id}', '😀', 'usr_${n}', 0)`)
    await execute(
      `insert into reactions (workspace_id, comment_id, emoji, user_id, created_at) values ${seeded.join()}`,
    )
    await problemIn(await bob.put(reaction(comment, "😁")), 409)
    const { reactions } = (await (await bob.delete(reaction(comment, "😀"))).json()) as CommentView
    expect([reactions[0]?.count, reactions[0]?.userIds.length]).toEqual([980, 50])
  })

  it("takes the level comment", async () => {
    const project = await newProject(ada)
    const comment = await newComment(ada, await newTask(ada, { projectId: project.id }))
    await problemIn(await guest.put(reaction(comment, "👍")), 404)
    await nameTo(project.id, guest, "view")
    await problemIn(await guest.put(reaction(comment, "👍")), 403)
    await nameTo(project.id, guest, "comment")
    expect((await guest.put(reaction(comment, "👍"))).status).toBe(200)
  })
})

describe("an emoji", () => {
  it("is whatever Unicode recommends, and nothing longer", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const emoji = toEmoji(text)
        if (emoji === null) return
        expect([...new Intl.Segmenter().segment(emoji)]).toHaveLength(1)
        expect(toEmoji(emoji)).toBe(emoji)
      }),
    )
    expect(toEmoji("")).toBeNull()
  })

  it("is kept with those who chose it in order", () => {
    expect(withReaction([{ emoji: "👍", userIds: ["b"], count: 1 }], "👍", "a")).toEqual([
      { emoji: "👍", userIds: ["a", "b"], count: 2 },
    ])
  })
})

describe("mentions", () => {
  const idsIn = async (body: string, caller = ada) => (await newComment(caller, await newTask(ada), body)).mentionIds

  it("name members by id, by first name, by full name, in any case and without accents", async () => {
    for (const body of [
      `@[Whatever](${bob.userId})`,
      "@bob",
      "Hi @BOB, hello",
      '@"bob olsen"',
      "(@BobOlsen)",
      "**@Bob**\n\n> - @bob",
      "@bob.",
      "see @bob's or @Bob’s",
    ]) {
      expect(await idsIn(body), body).toEqual([bob.userId])
    }
    const jose = await joined(ada, "member", "José Ñuñez")
    expect(await idsIn("@jose @bob @José")).toEqual([jose.userId, bob.userId])
  })

  it("go on meaning who was meant, whatever people are called later on", async () => {
    const host = await newCaller()
    const eve = await joined(host, "member", "Eve Adams")
    const task = await newTask(host)
    const comment = await newComment(host, task, `@eve, @EveAdams and @[Eve](${eve.userId})`)
    await eve.patch("/api/v1/me", { name: "Zoe Brown" })
    await joined(host, "member", "Eve Other")
    const shown = await commentIn(await host.get(`${of(comment)}?render=html`))
    const span = (text: string) => `<span class="mention" data-user="${eve.userId}">${text}</span>`
    expect(shown.html).toBe(`<p>${span("@eve")}, ${span("@EveAdams")} and ${span("@Zoe Brown")}</p>`)
    expect(shown.mentionIds).toEqual([eve.userId])
  })

  it("are none in code, links, addresses, and where no one member is meant", async () => {
    for (const body of [
      "`@bob`",
      "```\n@bob\n```",
      "    @bob",
      "mail@bob.example",
      "@bob@example.com",
      "[@bob](https://example.com)",
      "https://example.com/@bob",
      "\\@bob",
      "@nobody",
      "@",
      "@ bob",
      `@[Bob](${stranger.userId})`,
      "@[Bob](usr_00000000000000000000000000)",
      "@[Bob](javascript:alert(1))",
    ]) {
      expect(await idsIn(body), body).toEqual([])
    }
    await joined(ada, "member", "Twin One")
    await joined(ada, "member", "Twin Two")
    expect(await idsIn("@twin")).toEqual([])
    expect(await idsIn("@TwinOne")).toHaveLength(1)
  })

  it("are only of those who see the task, and who are still there", async () => {
    const project = await newProject(ada, { visibility: "private" })
    const task = await newTask(ada, { projectId: project.id })
    const body = `@[Bob](${bob.userId}) @bob @[Gül](${guest.userId})`
    expect((await newComment(ada, task, body)).mentionIds).toEqual([])
    await nameTo(project.id, guest, "view")
    await nameTo(project.id, bob, "view")
    expect((await newComment(ada, task, body)).mentionIds).toEqual([bob.userId, guest.userId])
    const gone = await joined(ada, "member", "Zoe Gone")
    expect(await idsIn("@zoe")).toEqual([gone.userId])
    await ada.delete(`/api/v1/members/${gone.userId}`)
    expect(await idsIn(`@zoe @[Zoe](${gone.userId})`)).toEqual([])
  })

  it("count up to 50 in a text, each once", async () => {
    const many = Array.from({ length: 80 }, (_, n) => `@person${n}`).join(" ")
    expect(await mentionsIn(`${many} @bob`)).toHaveLength(50)
    expect(await idsIn("@bob ".repeat(100))).toEqual([bob.userId])
  })

  it("are found in any text without an error, and never overlap", () => {
    const pieces = fc.constantFrom(
      "@",
      "[",
      "]",
      "(",
      ")",
      '"',
      "`",
      "\\",
      "*",
      " ",
      "\n",
      "bob",
      ".",
      bob.userId,
      "é",
      "🎉",
      "<",
    )
    const text = fc.array(fc.oneof(pieces, fc.string({ unit: "binary", maxLength: 3 })), { maxLength: 60 })
    fc.assert(
      fc.property(text, (parts) => {
        const source = parts.join("")
        const found = findMentions(source)
        expect(found.length).toBeLessThanOrEqual(source.split("@").length - 1)
        for (const { userId, name } of found) {
          expect(userId === null || userId === bob.userId).toBe(true)
          if (userId === null) expect(source).toContain(name)
          expect(name).not.toBe("")
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

describe("GET /tasks/:idOrKey/mentionable", () => {
  const namesFor = async (caller: Caller, task: { id: string }, query: string) => {
    const answer = await caller.get(`/api/v1/tasks/${task.id}/mentionable?${query}`)
    expect(costOf(answer).trips).toBe(1)
    return Mentionable.parse(await answer.json()).data.map(({ name }) => name)
  }

  it("completes any word of the name, ordered by name, for members who see the task", async () => {
    const host = await newCaller()
    for (const name of ["Zed Adams", "Adèle", "Brad", "Öz Ad"]) await joined(host, "member", name)
    const outside = await joined(host, "guest", "Adam Guest")
    const task = await newTask(host, { projectId: (await newProject(host)).id })
    expect(await namesFor(host, task, "q=ad")).toEqual(["Ada", "Adèle", "Öz Ad", "Zed Adams"])
    expect(await namesFor(host, task, "q=zed%20a")).toEqual(["Zed Adams"])
    expect(await namesFor(host, task, "limit=2")).toEqual(["Ada", "Adèle"])
    expect(await namesFor(host, task, "q=%25")).toEqual([])
    await problemIn(await outside.get(`/api/v1/tasks/${task.id}/mentionable`), 404)
    await host.put(`/api/v1/projects/${task.projectId}/members/${outside.userId}`, { level: "view" })
    expect(await namesFor(outside, task, "q=AD")).toEqual(["Ada", "Adam Guest", "Adèle", "Öz Ad", "Zed Adams"])
  })

  it("refuses what it does not know", async () => {
    const task = await newTask(ada)
    for (const query of ["limit=51", "limit=x", "q=%00", `q=${"x".repeat(101)}`]) {
      const pointers = await pointersIn(await ada.get(`/api/v1/tasks/${task.id}/mentionable?${query}`))
      expect([...new Set(pointers)]).toEqual([`?${query.split("=")[0]}`])
    }
    await problemIn(await ada.get("/api/v1/tasks/none/mentionable"), 404)
  })
})
