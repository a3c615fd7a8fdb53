import { type Context, Hono } from "hono"
import {
  HubPath,
  JobList,
  JobPath,
  JobRun,
  type JobRunView,
  WorkspaceHub,
  type WorkspaceHubView,
} from "../contracts/operator.ts"
import { notFound } from "../domain/errors.ts"
import { readHead } from "../domain/log.ts"
import * as jobs from "../events/jobs/run.ts"
import type { AppEnv } from "../http/context.ts"
import { operation, params } from "../http/contract.ts"
import { idPattern, newId } from "../lib/ids.ts"
import { rfc3339 } from "../lib/time.ts"

export const operatorRoutes = new Hono<AppEnv>()

const forOperators = { isForOperators: true }

operatorRoutes.get(
  "/operator/jobs",
  operation("List the jobs and their last runs", JobList, 200, forOperators),
  async (c) => {
    const all = await jobs.lastRuns(c.var.db)
    return c.json({ data: all.map(({ job: { name, about }, run }) => ({ name, about, lastRun: run && runView(run) })) })
  },
)

operatorRoutes.post(
  "/operator/jobs/:name/runs",
  operation("Run a job now", JobRun, 200, {
    ...forOperators,
    description: "One run, as the clock would start it: it does a bounded part and goes on where the last one ended.",
  }),
  params(JobPath),
  async (c) => {
    const job = jobs.jobs.find(({ name }) => name === c.req.valid("param").name)
    if (!job) throw notFound("job")
    const { hubs, inboxes, now } = c.var.instance
    return c.json(runView(await jobs.runJob({ db: c.var.db, hubs, inboxes, now, newId }, job)))
  },
)

operatorRoutes.get(
  "/operator/workspaces/:workspaceId/hub",
  operation("See how far a workspace's log was read, and what was given up", WorkspaceHub, 200, forOperators),
  params(HubPath),
  async (c) => c.json(await hubView(c, c.req.valid("param").workspaceId)),
)

operatorRoutes.post(
  "/operator/workspaces/:workspaceId/hub/catch-up",
  operation("Let a workspace's hub look for what it has missed", WorkspaceHub, 200, forOperators),
  params(HubPath),
  async (c) => {
    const { workspaceId } = c.req.valid("param")
    await mustBeThere(c, workspaceId)
    await c.var.instance.hubs.catchUp(workspaceId)
    return c.json(await hubView(c, workspaceId))
  },
)

operatorRoutes.post(
  "/operator/workspaces/:workspaceId/hub/parked/retries",
  operation("Let a workspace's hub try again what was given up", WorkspaceHub, 200, {
    ...forOperators,
    description: "The oldest 100 entries. `parked` of the answer has what is given up still.",
  }),
  params(HubPath),
  async (c) => {
    const { workspaceId } = c.req.valid("param")
    await mustBeThere(c, workspaceId)
    await c.var.instance.hubs.retryParked(workspaceId)
    return c.json(await hubView(c, workspaceId))
  },
)

operatorRoutes.all("/operator/*", (c) => c.notFound())

function runView({ startedAt, durationMs, lagMs, examined, done, error }: jobs.JobRun): JobRunView {
  return { startedAt: rfc3339(startedAt), durationMs, lagMs, examined, done, error }
}

/** Where the log ends. An object is only addressed for a workspace that has one. */
async function mustBeThere(c: Context<AppEnv>, workspaceId: string) {
  if (!idPattern("workspace").test(workspaceId)) throw notFound("workspace")
  const head = await readHead(c.var.db, workspaceId)
  if (head.seq === 0) throw notFound("workspace")
  return head
}

async function hubView(c: Context<AppEnv>, workspaceId: string): Promise<WorkspaceHubView> {
  const head = await mustBeThere(c, workspaceId)
  const { lanes, parked } = await c.var.instance.hubs.status(workspaceId)
  return {
    ...head,
    readers: Object.entries(lanes ?? {}).map(([name, { seq, failing }]) => ({
      name,
      seq,
      failing: failing && { times: failing.times, retryAt: rfc3339(failing.retryAt) },
    })),
    parked: parked.map(({ at, ...entry }) => ({ ...entry, at: rfc3339(at) })),
  }
}
