import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { hasBrowser, startBrowser } from "../support/browser.ts"
import type { Server } from "../support/server.ts"

let server: Server
let browser: Browser

beforeAll(async () => {
  if (hasBrowser) ({ server, browser } = await startBrowser())
})

afterAll(async () => {
  await browser?.close()
  await server?.stop()
})

type Seen = { page: Page; elsewhere: string[]; complaints: string[] }

/** The reference page as it is once loaded, with every request to another host and everything that it complained of. */
async function openReference(): Promise<Seen> {
  const page = await browser.newPage()
  const elsewhere: string[] = []
  const complaints: string[] = []
  page.on("request", (request) => {
    const url = new URL(request.url())
    if (url.origin !== server.url && url.protocol !== "data:" && url.protocol !== "blob:") elsewhere.push(url.href)
  })
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(String(error)))
  page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`))
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`)
  })
  await page.goto(`${server.url}/docs`)
  await page.locator(".opblock").first().waitFor()
  return { page, elsewhere, complaints }
}

describe.skipIf(!hasBrowser)("the reference page, in a browser", () => {
  it("shows every operation of the document", async () => {
    const { page } = await openReference()
    const answer = await fetch(`${server.url}/openapi.json`)
    const { paths } = (await answer.json()) as { paths: Record<string, Record<string, { summary: string }>> }
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { summary }]) => `${method.toUpperCase()} ${path} ${summary}`),
    )
    const shown = await page.locator(".opblock").evaluateAll((blocks) =>
      blocks.map((block) =>
        [".opblock-summary-method", ".opblock-summary-path", ".opblock-summary-description"]
          // Long paths hold zero-width spaces, where the line may break.
          .map((part) => block.querySelector(part)?.textContent?.replaceAll("\u200b", ""))
          .join(" "),
      ),
    )
    expect(shown.toSorted()).toEqual(described.toSorted())
  })

  it("asks no other host, and breaks none of its own rules", async () => {
    const { page, elsewhere, complaints } = await openReference()
    for (const path of ["/api/v1/tasks", "/api/v1/tasks/bulk", "/api/v1/auth/register"]) {
      const block = page.locator(".opblock-post", { has: page.locator(`[data-path="${path}"]`) })
      await block.locator(".opblock-summary-control").click()
      await block.locator(".body-param textarea").waitFor()
    }

    expect(elsewhere).toEqual([])
    expect(complaints).toEqual([])
  })

  it("calls the API from the page", async () => {
    const { page, elsewhere, complaints } = await openReference()
    const block = page.locator(".opblock", { has: page.locator('[data-path="/health"]') })
    await block.locator(".opblock-summary-control").click()
    await block.getByRole("button", { name: "Execute" }).click()
    const answer = block.locator(".live-responses-table .response")

    expect(await answer.locator(".response-col_status").innerText()).toContain("200")
    expect(await answer.locator(".microlight").first().innerText()).toContain('"status": "healthy"')
    expect(elsewhere).toEqual([])
    expect(complaints).toEqual([])
  })
})
