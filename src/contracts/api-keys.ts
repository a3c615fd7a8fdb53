import * as z from "zod"
import { Cursor, id, instant, Limit, line, page, pathId, Revision, Time } from "./common.ts"

const scope = z.string().max(100)
const scopesNote = "Names of permissions: what the key may do, as far as its user may"

export const ApiKey = z
  .object({
    id: id("apiKey"),
    name: z.string(),
    hint: z.string().meta({ description: "How the key begins and ends" }),
    scopes: z.array(z.string()).meta({ description: scopesNote }),
    userId: id("user").meta({ description: "Whose key it is, and as whom it acts" }),
    createdAt: Time,
    expiresAt: Time.nullable(),
    lastUsedAt: Time.nullable().meta({ description: "To the hour" }),
    revision: Revision,
  })
  .meta({ id: "ApiKey" })

export type ApiKeyView = z.output<typeof ApiKey>

export const NewApiKey = z.strictObject({
  name: line(200),
  scopes: z.array(scope).min(1).max(100).meta({ description: scopesNote }),
  expiresAt: instant().nullable().default(null).meta({ description: "Never, when omitted" }),
})

export type NewApiKeyInput = z.output<typeof NewApiKey>

export const MadeApiKey = ApiKey.extend({
  key: z.string().meta({ description: "The key itself, shown this once" }),
}).meta({ id: "MadeApiKey" })

export type MadeApiKeyView = z.output<typeof MadeApiKey>

export const ApiKeyPatch = z.strictObject({ name: line(200).optional(), revision: Revision.optional() })
export const ApiKeyPath = z.object({ keyId: pathId("apiKey") })

export const ApiKeyQuery = z.strictObject({
  user: id("user").optional().meta({ description: "Whose; mine, when omitted. Owners and admins may ask for others'" }),
  limit: Limit,
  cursor: Cursor.optional(),
})
export type ApiKeyQueryInput = z.output<typeof ApiKeyQuery>
export const ApiKeyPage = page(ApiKey)
