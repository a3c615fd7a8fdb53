import { type Context, Hono } from "hono"
import { html } from "hono/html"
import * as z from "zod"
import { asset, assetPaths } from "../http/assets.ts"
import { asyncApi } from "../http/asyncapi.ts"
import type { AppEnv } from "../http/context.ts"
import { operation } from "../http/contract.ts"
import { openApi } from "../http/openapi.ts"
import { fnv1a } from "../lib/hash.ts"

const open = { isPublic: true }
const shared = "public, max-age=60, stale-while-revalidate=86400"

/** A document that is made once and then told again. */
function told(make: (version: string) => object) {
  let document: { text: string; etag: string } | undefined
  return (c: Context<AppEnv>) => {
    if (!document) {
      const text = JSON.stringify(make(c.var.instance.settings.VERSION))
      document = { text, etag: `"${fnv1a(text)}"` }
    }
    c.header("etag", document.etag)
    c.header("cache-control", shared)
    if (c.req.header("if-none-match")?.includes(document.etag)) return c.body(null, 304)
    return c.body(document.text, 200, { "content-type": "application/json" })
  }
}

/** The description of every route of `app`, for programs and for people. Everything the page needs is served from here. */
export function docsRoutes(app: Hono<AppEnv>) {
  const routes = new Hono<AppEnv>()
  const openApiDocument = told((version) => openApi(app, version))
  const asyncApiDocument = told(asyncApi)

  routes.get(
    "/openapi.json",
    operation("This description", z.looseObject({ openapi: z.string() }), 200, open),
    openApiDocument,
  )

  routes.get(
    "/asyncapi.json",
    operation("What goes over the WebSocket and to webhooks", z.looseObject({ asyncapi: z.string() }), 200, open),
    asyncApiDocument,
  )

  routes.get("/docs", async (c) => {
    const pathOf = await assetPaths(c)
    // Not longer: the files of an earlier version are gone with it.
    c.header("cache-control", "public, max-age=60")
    return c.html(html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Edgewise API</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="${pathOf("docs/assets/swagger-ui.css")}" />
  </head>
  <body>
    <div id="reference"></div>
    <noscript>This page needs JavaScript; the same is at <a href="/openapi.json">/openapi.json</a>.</noscript>
    <script src="${pathOf("docs/assets/swagger-ui-bundle.js")}"></script>
    <script src="${pathOf("docs/assets/reference.js")}"></script>
  </body>
</html>`)
  })

  routes.get("/docs/assets/:name", asset)

  routes.get("/", (c) => c.redirect("/docs", 302))
  return routes
}
