// Imports work items into a running server, through the public API and nothing else. `--help` says how.
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import type { ProjectView } from "../src/contracts/projects.ts"
import { type Account, type Api, openApi, Refused, Unreachable } from "./import/api.ts"
import { type Batch, cutBatches, keyOf, withoutThere } from "./import/batches.ts"
import { BadFile, type Item, readItems } from "./import/items.ts"
import { type Labels, openLabels } from "./import/labels.ts"
import { keptPassword, passwordFile } from "./import/passwords.ts"
import { number, openProgress, type Progress } from "./import/progress.ts"

const defaults = { url: "http://127.0.0.1:8787", email: "import@edgewise.local" }

const help = `Imports work items into a running Edgewise, and counts what is there afterwards.

  npm run import -- FILE [--url ${defaults.url}] [--email ADDRESS] [--password PASSWORD]

FILE has one JSON object a line: {"project", "title"} and, if you like, "description", "kind", "release", "number".
Each project becomes a project and each line a task. kind and release become labels (patch, v0.2.7), found by their
name or created; number becomes the last line of the description. kind also gives the priority: major 3, minor 2,
patch 1, anything else 0. If a line cannot be imported, nothing is written.

  --url       The server, ${defaults.url} when omitted
  --email     Who imports, ${defaults.email} when omitted; registered if need be. Or EDGEWISE_EMAIL
  --password  Made and kept in ${passwordFile} when omitted. Or EDGEWISE_PASSWORD

Stop it with Ctrl-C and run it again whenever you like; what is there is not created twice:
  - A project is found by its name (the oldest of that name), a task by its title and the last line of its description.
    A task of which these were changed counts as missing, and is created again. One that was imported when kind and
    release stood in its last line, too, is found by that and left as it is, without labels.
  - Every request has an Idempotency-Key made from its content, which the server remembers for 7 days: it also covers
    a request that was on its way when the import was stopped. So a whole batch (up to 100 tasks) that was imported
    and then deleted is created again only after 7 days; until then the counts at the end differ, and it says so.

Exit status: 0 everything is there, 1 something is wrong, 2 wrong arguments, 130 stopped.`

type Options = { file: string; url: string; account: { email: string; password: string | null } }

/** A project of the file, as far as it has been imported. */
type Import = { project: ProjectView; lines: number; others: number; created: number; replayed: number }

class BadArguments extends Error {}

const stopping = new AbortController()
const stopCodes = { SIGINT: 130, SIGTERM: 143 } as const
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort(stopCodes[signal]))

process.exitCode = await run(process.argv.slice(2))

/** Returns the exit status. */
async function run(args: string[]): Promise<number> {
  try {
    const options = readArguments(args)
    if (options) return await importFile(options)
    console.log(help)
    return 0
  } catch (error) {
    if (stopping.signal.aborted) {
      console.error("Stopped. What was imported stays; run the same command again to continue.")
      return Number(stopping.signal.reason)
    }
    if (error instanceof BadArguments) console.error(`${error.message}\n\n${help}`)
    else if (error instanceof BadFile || error instanceof Unreachable || error instanceof Refused) {
      console.error(error.message)
    } else throw error
    return error instanceof BadArguments ? 2 : 1
  }
}

/** Null when it is help that is asked for. Throws BadArguments. */
function readArguments(args: string[]): Options | null {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        url: { type: "string", default: defaults.url },
        email: { type: "string", default: process.env["EDGEWISE_EMAIL"] ?? defaults.email },
        password: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    })
    if (values.help) return null
    const [file, ...rest] = positionals
    if (file === undefined || rest.length > 0) throw new TypeError("Name one file to import")
    const password = values.password ?? process.env["EDGEWISE_PASSWORD"] ?? null
    return { file: fromCaller(file), url: originOf(values.url), account: { email: values.email, password } }
  } catch (error) {
    throw error instanceof TypeError ? new BadArguments(error.message) : error
  }
}

// npm runs this in the package's directory; a file is named from where npm was called.
function fromCaller(file: string): string {
  return resolve(process.env["INIT_CWD"] ?? ".", file)
}

function originOf(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol.startsWith("http") && url.pathname === "/" && url.search === "") return url.origin
  throw new TypeError(`--url takes the address of a server, such as ${defaults.url}, not ${text}`)
}

/** Returns the exit status. */
async function importFile({ file, url, account }: Options): Promise<number> {
  const byProject = Map.groupBy(await readItems(file), ({ project }) => project)
  const total = [...byProject.values()].reduce((sum, items) => sum + items.length, 0)
  const { signal } = stopping
  let progress: Progress | undefined
  const onWait = (why: string) => (progress ? progress.note(why) : console.log(why))
  const api = await openApi({ url, account: await withPassword(url, account), signal, onWait })
  console.log(`Importing ${number(total)} tasks in ${number(byProject.size)} projects to ${url} as ${account.email}`)

  const start = performance.now()
  progress = openProgress(total, "tasks")
  let imports: Import[]
  try {
    imports = await importAll(api, byProject, progress)
  } finally {
    progress.stop()
  }
  const seconds = (performance.now() - start) / 1_000
  return report(imports, await countAll(api, imports), seconds)
}

async function withPassword(url: string, { email, password }: Options["account"]): Promise<Account> {
  return password === null ? { email, ...(await keptPassword(url, email)) } : { email, password, isNew: false }
}

// ---- write ----

async function importAll(api: Api, byProject: Map<string, Item[]>, progress: Progress): Promise<Import[]> {
  const projects = await api.list<ProjectView>("/api/v1/projects?limit=200")
  const labels = await openLabels(api)
  const imports: Import[] = []
  for (const [name, items] of byProject) {
    const known = projects.find((project) => project.name === name)
    const project = known ?? (await createProject(api, name))
    imports.push(await importProject({ api, labels, progress }, project, items))
  }
  return imports
}

/** Creates a project once, even if an earlier request is still on its way; anew if what it created has been deleted. */
async function createProject(api: Api, name: string): Promise<ProjectView> {
  const deleted: string[] = []
  for (;;) {
    const key = keyOf("project", name, deleted)
    const { view, isReplay } = await api.create<ProjectView>("/api/v1/projects", { name }, key)
    if (!isReplay || (await api.find(`/api/v1/projects/${view.id}`))) return view
    deleted.push(view.id)
  }
}

type Tools = { api: Api; labels: Labels; progress: Progress }

async function importProject(tools: Tools, project: ProjectView, items: Item[]): Promise<Import> {
  const { api, labels, progress } = tools
  type Told = { title: string; description: string }
  const there = await api.list<Told>(`/api/v1/projects/${project.id}/tasks?fields=title,description&limit=200`)
  const { missing, others } = withoutThere(cutBatches(items), there)
  const result: Import = { project, lines: items.length, others, created: 0, replayed: 0 }
  const count = (batches: Batch[]) => batches.reduce((sum, batch) => sum + batch.items.length, 0)
  progress.advance(items.length - count(missing), project.name)
  for (const batch of missing) {
    const { isReplay } = await createTasks(api, labels, project, batch)
    result[isReplay ? "replayed" : "created"] += batch.items.length
    progress.advance(batch.items.length, project.name)
  }
  return result
}

async function createTasks(api: Api, labels: Labels, { id: projectId }: ProjectView, { place, items }: Batch) {
  const idOf = await labels.idsOf(items.flatMap((item) => item.labels))
  const tasks = items.map(({ title, description, priority, labels: names }) => ({
    projectId,
    title,
    description,
    priority,
    labelIds: names.map(idOf),
  }))
  // With the place, because two batches of a project may hold the same lines.
  return api.create("/api/v1/tasks/bulk", { tasks }, keyOf(place, tasks))
}

// ---- compare ----

/** How many tasks each imported project has now; 0 for one that the list of projects does not show. */
async function countAll(api: Api, imports: Import[]): Promise<Map<string, number>> {
  const visible = new Set((await api.list<ProjectView>("/api/v1/projects?limit=200")).map(({ id }) => id))
  const counts = new Map<string, number>()
  for (const { id } of imports.map(({ project }) => project)) {
    const path = `/api/v1/projects/${id}/tasks?fields=id&limit=200`
    const ids = visible.has(id) ? (await api.list<{ id: string }>(path)).map((task) => task.id) : []
    counts.set(id, new Set(ids).size)
  }
  return counts
}

function report(imports: Import[], counts: Map<string, number>, seconds: number): number {
  const rows = imports.map(({ project, lines, others, created, replayed }) => {
    const found = counts.get(project.id) ?? 0
    return { name: project.name, lines, others, created, replayed, found, isRight: found === lines + others }
  })
  const sum = (field: "lines" | "others" | "created" | "replayed" | "found") =>
    rows.reduce((total, row) => total + row[field], 0)

  const width = Math.max(...rows.map(({ name }) => name.length), "project".length)
  const told = (name: string, lines: string, found: string, remark = "") =>
    console.log(`${name.padEnd(width)}  ${lines.padStart(8)}  ${found.padStart(8)}  ${remark}`.trimEnd())
  console.log()
  told("project", "in file", "found")
  for (const { name, lines, found, others, isRight } of rows) {
    const more = others > 0 ? `${number(others)} of them not from this file` : ""
    told(name, number(lines), number(found), isRight ? more : `${number(lines + others)} expected`)
  }
  told("total", number(sum("lines")), number(sum("found")))

  const created = sum("created")
  const pace = created > 0 ? `, ${number(Math.round(created / seconds))} tasks/s` : ""
  console.log(
    `\n${number(created)} created, ${number(sum("lines") - created)} were there already; ${seconds.toFixed(1)} s${pace}`,
  )
  if (rows.every(({ isRight }) => isRight)) {
    console.log("Everything in the file is there.")
    return 0
  }
  const gone = sum("replayed")
  if (gone > 0)
    console.error(`${number(gone)} were imported before and have been changed or deleted since: see --help.`)
  console.error("What is there is not what the file says.")
  return 1
}
