import * as z from "zod"
import { LookupFailed, type Targets } from "../domain/webhook-filters.ts"
import { type Destination, destinationOf, reachOf } from "../lib/destination.ts"
import { second } from "../lib/time.ts"

type Options = {
  /** Where names are looked up: DNS over HTTPS, answered as JSON. */
  resolver: string
  /** For development: plain HTTP, and this machine. */
  isLocalAllowed: boolean
  fetch?: typeof fetch
}

const lookupDeadline = 5 * second

// The numbers of DNS (RFC 1035, RFC 3596).
const recordTypes = { A: 1, AAAA: 28 } as const
const noError = 0
const noSuchName = 3

const LookupAnswer = z.object({
  Status: z.int(),
  Answer: z.array(z.object({ type: z.int(), data: z.string() })).optional(),
})

/**
 * Judges where deliveries may go: a URL by itself, and every address behind the name in it. Between this and the request
 * the name can come to mean something else, because a Worker cannot say which address it connects to; what guards that
 * gap is that Cloudflare's own network does not reach into private ones.
 */
export function targetsOf({ resolver, isLocalAllowed, fetch: send = (...given) => fetch(...given) }: Options): Targets {
  async function addressesOf(name: string, type: keyof typeof recordTypes): Promise<string[]> {
    const url = new URL(resolver)
    url.searchParams.set("name", name)
    url.searchParams.set("type", type)
    try {
      const answer = await send(url.href, {
        headers: { accept: "application/dns-json" },
        redirect: "manual",
        signal: AbortSignal.timeout(lookupDeadline),
      })
      if (!answer.ok) throw new LookupFailed(`The resolver answered ${answer.status}`)
      const { Status, Answer = [] } = LookupAnswer.parse(await answer.json())
      if (Status !== noError && Status !== noSuchName) throw new LookupFailed(`The resolver answered RCODE ${Status}`)
      return Answer.filter((record) => record.type === recordTypes[type]).map(({ data }) => data)
    } catch (error) {
      if (error instanceof LookupFailed) throw error
      throw new LookupFailed("The resolver did not answer", { cause: error })
    }
  }

  return {
    async refusal(url) {
      const destination: Destination = destinationOf(url, { isLocalAllowed })
      if (destination.kind === "refused") return destination.why
      if (destination.kind === "address") return null
      // One after the other: of a Worker's six connections deliveries take most.
      const addresses = [
        ...(await addressesOf(destination.name, "A")),
        ...(await addressesOf(destination.name, "AAAA")),
      ]
      if (addresses.length === 0) return "must lead to a name that has an address"
      // All of them: which one is taken is not ours to say.
      const isPublic = addresses.every((address) => reachOf(address) === "public")
      return isPublic ? null : "must not lead to a name with an address that is not public"
    },
  }
}
