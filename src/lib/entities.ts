// Takes the place of the package `entities` in the bundle (see alias in wrangler.toml): the 2,000 names of HTML weigh as
// much there as all the rest of Markdown. Numbers are decoded without it; a name that is not here stays as it was written.
const named = new Map(
  Object.entries({
    amp: "&",
    apos: "'",
    bull: "•",
    cent: "¢",
    copy: "©",
    deg: "°",
    euro: "€",
    gt: ">",
    hellip: "…",
    laquo: "«",
    larr: "←",
    ldquo: "“",
    lsquo: "‘",
    lt: "<",
    mdash: "—",
    middot: "·",
    minus: "−",
    nbsp: "\u00A0",
    ndash: "–",
    para: "¶",
    plusmn: "±",
    pound: "£",
    quot: '"',
    raquo: "»",
    rarr: "→",
    rdquo: "”",
    reg: "®",
    rsquo: "’",
    sect: "§",
    shy: "\u00AD",
    times: "×",
    trade: "™",
    yen: "¥",
  }),
)

/** `&copy;` → ©. */
export const decodeHTMLStrict = (entity: string): string => named.get(entity.slice(1, -1)) ?? entity
