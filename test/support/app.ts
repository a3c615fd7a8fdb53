import { createExecutionContext } from "cloudflare:test"
import { env } from "cloudflare:workers"
import type { Hono } from "hono"
import { createApp } from "../../src/app.ts"
import type { Mail, Message } from "../../src/domain/mail.ts"
import type { AppEnv } from "../../src/http/context.ts"
import { type Instance, openInstance } from "../../src/instance.ts"
import { scryptHasher } from "../../src/lib/passwords.ts"
import type { AccessLine } from "../../src/observability/log.ts"

/** The real app over the real bindings, where a test may put something of its own in between. */
export type TestApp = {
  fetch(path: string, init?: RequestInit): Promise<Response>
  instance: Instance
  hono: Hono<AppEnv>
  /** What it logged, newest last. */
  lines: AccessLine[]
  /** What it mailed, newest last. */
  outbox: Message[]
}

// Tests register many people; only those about passwords spend the time that a real hash costs.
const cheapHasher = scryptHasher({ cost: { ln: 1, r: 1, p: 1 } })

export async function openApp(parts: Partial<Instance> = {}): Promise<TestApp> {
  const opened = await openInstance(env)
  const lines: AccessLine[] = []
  const log = (line: AccessLine) => void lines.push(line)
  const outbox: Message[] = []
  const mail: Mail = {
    ...opened.mail,
    send: async (message) => {
      outbox.push(message)
      await opened.mail.send(message)
    },
  }
  const instance: Instance = { ...opened, hasher: cheapHasher, log, mail, ...parts }
  const hono = createApp(instance)
  return {
    instance,
    hono,
    lines,
    outbox,
    fetch: async (path, init) =>
      hono.fetch(new Request(`https://edgewise.test${path}`, init), env, createExecutionContext()),
  }
}
