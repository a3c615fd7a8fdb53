import ipaddr from "ipaddr.js"

/** Where a URL leads: to an address that stands in it, to a name that must be looked up, or nowhere that is allowed. */
export type Destination = { kind: "refused"; why: string } | { kind: "address" } | { kind: "name"; name: string }

/** Names that mean something else in every network, and the one in which a cloud keeps its secrets. */
const specialNames = /(?:^|\.)(?:localhost|local|internal|intranet|lan|home|corp|private|arpa|onion|invalid)$/

/** What an address is for. Only "public" is anybody's; null for what is no address. */
export function reachOf(text: string): "public" | "loopback" | "other" | null {
  if (!ipaddr.isValid(text)) return null
  // An IPv4 address in the clothes of an IPv6 one is judged as what it is.
  const address = ipaddr.process(text)
  const range = address.range()
  if (range === "loopback") return "loopback"
  // Of IPv6 only 2000::/3 is given out; beside it are notations of IPv4 addresses that the library does not know.
  const isGiven = address instanceof ipaddr.IPv4 || ((address.parts[0] ?? 0) & 0xe000) === 0x2000
  return range === "unicast" && isGiven ? "public" : "other"
}

/**
 * Judges a URL by itself. Its parser has brought every notation of a host (decimal, octal, full width) to one form.
 * `isLocalAllowed`: for development, plain HTTP and this machine as well.
 */
export function destinationOf(text: string, { isLocalAllowed }: { isLocalAllowed: boolean }): Destination {
  const url = URL.parse(text)
  if (!url) return refused("must be a URL")
  if (url.protocol !== "https:" && !(isLocalAllowed && url.protocol === "http:"))
    return refused("must begin with https")
  if (url.username || url.password) return refused("must not hold credentials")
  const host = url.hostname.replace(/\.+$/, "")
  if (isLocalAllowed && host === "localhost") return { kind: "address" }
  const reach = reachOf(host.replace(/^\[(.*)\]$/, "$1"))
  if (reach === null) return byName(host)
  if (reach === "public" || (isLocalAllowed && reach === "loopback")) return { kind: "address" }
  return refused("must not lead to an address that is not public")
}

function byName(name: string): Destination {
  if (!name.includes(".") || specialNames.test(name)) return refused("must not lead to a name that is not public")
  return { kind: "name", name }
}

const refused = (why: string): Destination => ({ kind: "refused", why })
