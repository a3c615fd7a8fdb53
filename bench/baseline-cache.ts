// Fresh reads by hand: the same entries in the Cache API, looked up and written at the same moments. When an answer may
// be given without asking is decided by the same argument; everything around it is written out.
import type { Context } from "hono"
import { isFresh, type Known, keptLife, learn, type Mark, markOf, type Rev, trusted } from "../src/cache/rev.ts"
import type { BareEnv, Row, Session, Statement, Viewer } from "./baseline.ts"

// Of the type that Workers know, and not browsers.
const colo = (caches as unknown as { default: Cache }).default

const urlOf = (key: string) => `https://bare.invalid/${encodeURIComponent(key)}`
const find = async (key: string) => (await colo.match(urlOf(key)))?.text()
const keep = (key: string, text: string) =>
  colo.put(urlOf(key), new Response(text, { headers: { "cache-control": `public, max-age=${keptLife / 1_000}` } }))

const memory = new Map<string, string>()
const remembered = 2_000

function remember(key: string, text: string): void {
  if (memory.size >= remembered) memory.delete(memory.keys().next().value ?? "")
  memory.set(key, text)
}

type Read = { statement: (session: Session) => Statement; view: (rows: Row[]) => unknown }

async function known(who: string): Promise<Known> {
  const [mark, rev] = await Promise.all([find(`mark ${who}`), find(`rev ${who}`)])
  return { mark: mark ? (JSON.parse(mark) as Mark) : null, rev: rev ? (JSON.parse(rev) as Rev) : null }
}

/** Answers a GET: from what is kept if it is fresh, otherwise with one batch that also reads where the log ends. */
export async function read(c: Context<BareEnv>, viewer: Viewer, { statement, view }: Read): Promise<Response> {
  const who = `${viewer.workspaceId} ${viewer.userId}`
  const startedAt = Date.now()
  const before = await known(who)
  const rev = trusted(before)

  if (rev && isFresh(rev, startedAt)) {
    const key = `${who} ${c.req.url} ${rev.seq}`
    const body = memory.get(key)
    if (body !== undefined) return answer(c, body, rev.seq, "HIT")
  }

  const session = c.env.DB.withSession(rev?.bookmark ?? "first-primary")
  const head = session.prepare("select seq from heads where workspace_id = ?").bind(viewer.workspaceId)
  const [rows, heads] = await session.batch([statement(session), head])
  const seq = Number(heads?.results[0]?.["seq"])
  const shown = view(rows?.results ?? [])
  if (shown === null) return c.notFound()
  const body = JSON.stringify(shown)

  const lesson = learn(before, { seq, at: startedAt, bookmark: session.getBookmark() }, Date.now())
  if (lesson && "mark" in lesson) await keep(`mark ${who}`, JSON.stringify(lesson.mark))
  remember(`${who} ${c.req.url} ${seq}`, body)
  if (lesson && "rev" in lesson) c.executionCtx.waitUntil(keep(`rev ${who}`, JSON.stringify(lesson.rev)))
  return answer(c, body, seq, "MISS")
}

function answer(c: Context<BareEnv>, body: string, seq: number, how: string): Response {
  const etag = `"${seq}"`
  const headers = { etag, "cache-control": "private, no-cache", "x-cache": how }
  if (c.req.header("if-none-match") === etag) return c.body(null, 304, headers)
  return c.body(body, 200, { ...headers, "content-type": "application/json" })
}

/** What a write puts down before it answers. */
export const mark = ({ workspaceId, userId }: Viewer, seq: number): Promise<void> =>
  keep(`mark ${workspaceId} ${userId}`, JSON.stringify(markOf(seq, Date.now())))

/** One look at something that is kept, and keeping it, for what each costs by itself. */
export const lookUp = (): Promise<string | undefined> => find("probe")
export const putDown = (): Promise<void> => keep("probe", JSON.stringify(markOf(1, Date.now())))
