// Puts what pages need into dist/assets, from which the Worker serves it. wrangler runs this before each build. Each file has
// a hash of what is in it in its name, so that it can be kept for ever; manifest.json tells the names.
import { createHash } from "node:crypto"
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { parse } from "node:path"

const swagger = new URL("../node_modules/swagger-ui-dist/", import.meta.url)
const ours = new URL("../src/console/browser/", import.meta.url)
const target = new URL("../dist/assets/", import.meta.url)

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

const headers = `/docs/assets/*
  Cache-Control: public, max-age=31536000, immutable
/pages/*
  Cache-Control: public, max-age=31536000, immutable
`

const manifest: Record<string, string> = {}

async function publish(folder: string, file: string, content: string | Buffer): Promise<void> {
  const { name, ext } = parse(file)
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 10)
  manifest[`${folder}/${file}`] = `/${folder}/${name}.${hash}${ext}`
  await mkdir(new URL(`${folder}/`, target), { recursive: true })
  await writeFile(new URL(`${folder}/${name}.${hash}${ext}`, target), content)
}

await rm(target, { recursive: true, force: true })
for (const file of ["swagger-ui.css", "swagger-ui-bundle.js"]) {
  await publish("docs/assets", file, await readFile(new URL(file, swagger)))
}
await publish("docs/assets", "reference.js", reference)
for (const file of await readdir(ours)) await publish("pages", file, await readFile(new URL(file, ours)))
await writeFile(new URL("manifest.json", target), JSON.stringify(manifest))
await writeFile(new URL("_headers", target), headers)
