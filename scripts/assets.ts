// Puts what pages need into dist/assets, from which the Worker serves it. wrangler runs this before each build.
import { copyFile, cp, mkdir, writeFile } from "node:fs/promises"

const source = new URL("../node_modules/swagger-ui-dist/", import.meta.url)
const target = new URL("../dist/assets/docs/assets/", import.meta.url)

const reference = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  // Asks no other server to judge the document.
  validatorUrl: null,
})
`

await mkdir(target, { recursive: true })
for (const name of ["swagger-ui.css", "swagger-ui-bundle.js"])
  await copyFile(new URL(name, source), new URL(name, target))
await writeFile(new URL("reference.js", target), reference)

await cp(new URL("../src/console/browser/", import.meta.url), new URL("../dist/assets/pages/", import.meta.url), {
  recursive: true,
})
