import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { destinationOf, reachOf } from "../../src/lib/destination.ts"

const inProduction = (url: string) => destinationOf(url, { isLocalAllowed: false })
const atHome = (url: string) => destinationOf(url, { isLocalAllowed: true })
const isRefused = (url: string) => inProduction(url).kind === "refused"

/** IPv4 networks that are not anybody's, by their first address and length. */
const closed: [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
]

const numberOf = (address: string) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)
const dotted = (n: number) => [24, 16, 8, 0].map((bits) => (n >>> bits) & 255).join(".")
const hex = (n: number) => n.toString(16)

/** Every address of a closed network is as likely as every other one. */
const closedAddress = fc
  .constantFrom(...closed)
  .chain(([first, length]) => fc.integer({ min: 0, max: 2 ** (32 - length) - 1 }).map((n) => numberOf(first) + n))

/** The ways in which one IPv4 address can be written in a URL. */
const notations: ((n: number) => string)[] = [
  dotted,
  String,
  (n) => `0x${hex(n)}`,
  (n) => `0${n.toString(8)}`,
  (n) => `${n >>> 24}.${n & 0xffffff}`,
  (n) => `${n >>> 24}.${(n >>> 16) & 255}.${n & 0xffff}`,
  (n) => `0x${hex(n >>> 24)}.0${((n >>> 16) & 255).toString(8)}.${(n >>> 8) & 255}.${n & 255}`,
  (n) => dotted(n).replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
  (n) => `${dotted(n).replaceAll(".", "%2e")}`,
  (n) => `${dotted(n)}.`,
  (n) => `[::ffff:${dotted(n)}]`,
  (n) => `[::ffff:${hex(n >>> 16)}:${hex(n & 0xffff)}]`,
  (n) => `[0:0:0:0:0:ffff:${dotted(n)}]`,
  (n) => `[::${dotted(n)}]`,
  (n) => `[::ffff:0:${dotted(n)}]`,
  (n) => `[64:ff9b::${dotted(n)}]`,
  (n) => `[64:ff9b:1::${dotted(n)}]`,
  (n) => `[2002:${hex(n >>> 16)}:${hex(n & 0xffff)}::1]`,
]

describe("an address that is not public", () => {
  it("is refused in every notation", () => {
    fc.assert(
      fc.property(closedAddress, fc.constantFrom(...notations), (n, notation) => {
        expect(isRefused(`https://${notation(n)}/hook`), notation(n)).toBe(true)
        expect(isRefused(`https://${notation(n)}:8443/`), notation(n)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  it("is refused in IPv6", () => {
    for (const address of [
      "::",
      "::1",
      "fe80::1",
      "febf:ffff::1",
      "fec0::1",
      "fc00::1",
      "fd12:3456:789a::1",
      "ff02::1",
      "100::1",
      "2001::1",
      "2001:db8::1",
      "2001:10::1",
      "2002:7f00:1::",
      "3fff::1",
      "4000::1",
      "5f00::1",
      "::7f00:1",
      "fd00:ec2::254",
    ]) {
      expect(reachOf(address), address).not.toBe("public")
      expect(isRefused(`https://[${address}]/`), address).toBe(true)
    }
  })

  it("is told from one that is", () => {
    for (const address of ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.255.255", "172.32.0.0", "100.128.0.1"]) {
      expect(reachOf(address), address).toBe("public")
      expect(inProduction(`https://${address}/`)).toEqual({ kind: "address" })
    }
    for (const address of ["2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "2001:4860:4860::8888"]) {
      expect(reachOf(address), address).toBe("public")
      expect(inProduction(`https://[${address}]/`)).toEqual({ kind: "address" })
    }
    // What stands in DNS answers beside addresses.
    for (const text of ["", "edge.example.net.", "v=spf1 -all", "1.2.3.4.5", "::g"]) {
      expect(reachOf(text) === "public", text).toBe(false)
    }
  })
})

describe("a URL", () => {
  it("must be https, without credentials, and lead to a name that can be public", () => {
    for (const url of [
      "",
      "hook",
      "//example.com",
      "http://example.com/",
      "ftp://example.com/",
      "file:///etc/passwd",
      "javascript:alert(1)",
      "https://",
      "https://user@example.com/",
      "https://user:secret@example.com/",
      "https://localhost/",
      "https://LOCALHOST./",
      "https://a.localhost/",
      "https://a.localhost../",
      "https://metadata/",
      "https://metadata.google.internal/computeMetadata/",
      "https://printer.local/",
      "https://router.lan/",
      "https://1.0.0.127.in-addr.arpa/",
      "https://x.onion/",
    ]) {
      expect(isRefused(url), url).toBe(true)
    }
  })

  it("is looked up by its name, in one form", () => {
    expect(inProduction("https://Hooks.Example.COM.:8443/a?b#c")).toEqual({ kind: "name", name: "hooks.example.com" })
    expect(inProduction("https://bücher.example/")).toEqual({ kind: "name", name: "xn--bcher-kva.example" })
  })

  it("may lead to this machine in development, and to no other private one", () => {
    for (const url of [
      "http://127.0.0.1:3000/",
      "http://localhost:3000/",
      "http://[::1]:3000/",
      "http://2130706433/",
    ]) {
      expect(atHome(url), url).toEqual({ kind: "address" })
      expect(isRefused(url), url).toBe(true)
    }
    for (const url of ["http://10.0.0.1/", "https://169.254.169.254/", "http://[fd00::1]/", "http://0.0.0.0/"]) {
      expect(atHome(url).kind, url).toBe("refused")
    }
  })

  it("of whatever kind is judged and never thrown at", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.ipV6().map((ip) => `https://[${ip}]`),
        ),
        (url) => {
          const { kind } = inProduction(url)
          expect(["refused", "address", "name"]).toContain(kind)
        },
      ),
    )
  })
})
