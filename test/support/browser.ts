import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"
import { type Server, startServer } from "./server.ts"

const executablePath = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium"

export const hasBrowser = existsSync(executablePath)

/** The real Worker, and a real browser to look at its pages. */
export async function startBrowser(): Promise<{ server: Server; browser: Browser }> {
  const server = await startServer()
  // Without a sandbox, because tests also run as root in containers; the pages are our own.
  return { server, browser: await chromium.launch({ executablePath, args: ["--no-sandbox"] }) }
}
