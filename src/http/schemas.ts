import * as z from "zod"

export type Json = Record<string, unknown>

/** A schema by reference when it has an id, and in place when not. What it refers to is moved to `components`. */
export function schemaOf(schema: z.ZodType, io: "input" | "output", schemas: Json): Json {
  const {
    $defs = {},
    $schema: _dialect,
    id,
    ...rest
  } = moveRefs(z.toJSONSchema(schema, { io, unrepresentable: "any" }))
  for (const [name, definition] of Object.entries($defs)) {
    const { id: _id, ...unnamed } = definition
    schemas[name] = unnamed
  }
  if (typeof id !== "string") return rest
  schemas[id] = rest
  return { $ref: `#/components/schemas/${id}` }
}

const moveRefs = (schema: object): Json & { $defs?: Record<string, Json> } =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'))
