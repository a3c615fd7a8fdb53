import schema from "@asyncapi/specs/schemas/3.0.0-without-$id.json" with { type: "json" }
import { Ajv } from "ajv"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Server, startServer } from "../support/server.ts"

type Document = {
  asyncapi: string
  channels: Record<string, { address: string | null; messages: Record<string, { $ref: string }> }>
  operations: Record<string, { channel: { $ref: string }; messages: { $ref: string }[] }>
  components: { messages: Record<string, { payload: { $ref: string } }> }
}

let server: Server
let document: Document

beforeAll(async () => {
  server = await startServer()
  document = (await (await fetch(`${server.url}/asyncapi.json`)).json()) as Document
})

afterAll(() => server?.stop())

const resolve = (ref: string) =>
  ref
    .slice(2)
    .split("/")
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], document)

describe("the served AsyncAPI document", () => {
  it("is AsyncAPI 3.0 to the schema of its specification", () => {
    const validate = new Ajv({ strict: false, validateFormats: false, logger: false }).compile(schema)
    expect(validate(document), JSON.stringify(validate.errors?.slice(0, 3))).toBe(true)
    // And that is no rubber stamp.
    expect(validate({ ...document, channels: { realtime: { address: 7 } } })).toBe(false)
  })

  it("refers to nothing that it does not hold", () => {
    const refs = [
      ...Object.values(document.channels).flatMap(({ messages }) => Object.values(messages)),
      ...Object.values(document.operations).flatMap(({ channel, messages }) => [channel, ...messages]),
    ].map(({ $ref }) => $ref)
    expect(refs.length).toBeGreaterThan(10)
    expect(refs.filter((ref) => resolve(ref) === undefined)).toEqual([])
  })

  it("describes what the socket sends and takes, each with its fields", () => {
    const { realtime } = document.channels
    expect(realtime?.address).toBe("/api/v1/realtime")
    const payloadOf = (name: string) =>
      resolve(document.components.messages[name]?.payload.$ref ?? "") as { properties: object; required: string[] }
    for (const name of Object.keys(realtime?.messages ?? {})) {
      expect(Object.keys(payloadOf(name).properties), name).toContain("type")
    }
    expect(Object.keys(document.channels["webhooks"]?.messages ?? {})).toEqual(["Webhook"])
    expect(payloadOf("Webhook").required).toEqual(["type", "timestamp", "data"])
    expect(payloadOf("Event").required).toEqual(expect.arrayContaining(["seq", "type", "subject", "data", "at"]))
  })
})
