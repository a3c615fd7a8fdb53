import MarkdownIt, { type StateCore, type StateInline, type Token } from "markdown-it"
import sanitize, { type IFilterXSSOptions } from "xss"

// What Markdown means here: CommonMark with tables, strikethrough, plain links and mentions; HTML in it is text. Loaded
// when the first text needs it (see mentions.ts and rendering.ts), so that starting up does not pay.

/** A person whom a text names: by id, with the name that the writer saw, or by a name. */
export type Mention = { userId: string | null; name: string }

/** Decides who is meant; null leaves the mention as text. */
export type Resolve = (mention: Mention) => { id: string; name: string } | null

const allowedLink = /^(?:https?:\/\/|mailto:)[^\s"'<>\\]+$/i
const allowedImage = /^https:\/\/[^\s"'<>\\]+$/i

// @[Ada Lovelace](usr_…), @"Ada Lovelace" and @ada.
const mentionPattern =
  /@(?:\[((?:[^[\]\\\n]|\\.){1,200})\]\((usr_[0-9a-z]{26})\)|"([^"\n]{1,200})"|([\p{L}\p{N}][\p{L}\p{M}\p{N}_'’.-]{0,199}))/uy
/** What stands before the @ of an address or of a path, and not before a mention. */
const noMentionAfter = /[\p{L}\p{M}\p{N}_@/+-]$/u

/** A rule of the inline parser, so that code, links and escapes have been told apart from text already. */
function mention(state: StateInline, isSilent: boolean): boolean {
  const { src, pos, posMax } = state
  if (src[pos] !== "@" || state.linkLevel > 0 || noMentionAfter.test(src.slice(Math.max(0, pos - 2), pos))) return false
  mentionPattern.lastIndex = pos
  const match = mentionPattern.exec(src)
  if (!match) return false
  const [whole, label, userId = null, quoted, plain = ""] = match
  // A name may hold dots and hyphens, but does not end in them, nor in the 's of what is theirs.
  const word = plain.replace(/['’.-]+$/, "").replace(/['’]s$/, "")
  const end = pos + whole.length - (plain.length - word.length)
  if (end > posMax || (plain && src[end] === "@")) return false
  if (!isSilent) {
    const token = state.push("mention", "", 0)
    token.content = src.slice(pos, end)
    token.meta = { userId, name: label?.replaceAll(/\\(.)/g, "$1") ?? quoted ?? word } satisfies Mention
  }
  state.pos = end
  return true
}

/** Says what links are, and takes out what may be a link but not an image. */
function finish({ md, env, tokens }: StateCore): void {
  for (const token of tokens) {
    alignByAttribute(token)
    for (const child of token.children ?? []) {
      if (child.type === "link_open") child.attrSet("rel", "nofollow noopener noreferrer")
      if (child.type === "image" && !allowedImage.test(String(child.attrGet("src")))) {
        child.content = md.renderer.renderInlineAsText(child.children ?? [], md.options, env)
        Object.assign(child, { type: "text", tag: "", attrs: null, children: null })
      }
    }
  }
}

/** Columns of tables come with a style, and styles are not let through. */
function alignByAttribute(token: Token): void {
  const style = token.attrGet("style")
  const align = style === null ? null : /^text-align:(left|center|right)$/.exec(String(style))?.[1]
  if (align) token.attrs = [["align", align]]
}

const markdown = new MarkdownIt({ html: false, linkify: true })
// What is no link without a scheme would be a guess; addresses are for @.
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false })
markdown.validateLink = (url) => allowedLink.test(url)
markdown.inline.ruler.before("link", "mention", mention)
markdown.core.ruler.push("finish", finish)
markdown.renderer.rules["mention"] = (tokens, index, _options, env) => {
  const { content = "", meta = null } = tokens[index] ?? {}
  const { userId, name } = meta as Mention
  const resolve = env?.["resolve"] as Resolve | undefined
  const found = resolve?.({ userId, name }) ?? null
  // What stands beside an id is what the writer typed; whom it leads to is called by their own name.
  const text = markdown.utils.escapeHtml(userId === null ? content : `@${found?.name ?? name}`)
  return found === null ? text : `<span class="mention" data-user="${found.id}">${text}</span>`
}

type Attributes = Record<string, RegExp>

const align: Attributes = { align: /^(?:left|center|right)$/ }

/** Every element that may be in an answer, with its attributes and what they may hold. */
const allowed: Record<string, Attributes> = {
  a: { href: allowedLink, title: /^/, rel: /^nofollow noopener noreferrer$/ },
  img: { src: allowedImage, alt: /^/, title: /^/ },
  span: { class: /^mention$/, "data-user": /^usr_[0-9a-z]{26}$/ },
  code: { class: /^language-[\w+#.-]{1,40}$/ },
  ol: { start: /^\d{1,9}$/ },
  th: align,
  td: align,
}
const bare = "p br hr h1 h2 h3 h4 h5 h6 em strong s pre blockquote ul li table thead tbody tr".split(" ")
for (const name of bare) allowed[name] = {}

// The second lock on the door: the parser above makes nothing else, and whatever it made is looked at again.
const sanitizing: IFilterXSSOptions = {
  whiteList: Object.fromEntries(Object.entries(allowed).map(([name, attributes]) => [name, Object.keys(attributes)])),
  stripIgnoreTag: true,
  css: false,
  onTagAttr: (tag, name, value, isKnown) =>
    isKnown && allowed[tag]?.[name]?.test(value) ? `${name}="${quotable(value)}"` : "",
}

/** The value of an attribute, in which everything else is escaped already. */
const quotable = (value: string) => value.replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** Markdown as HTML that can be put into a page as it is. */
export const toHtml = (body: string, resolve: Resolve): string =>
  sanitize(markdown.render(body, { resolve }), sanitizing).trimEnd()

/** The mentions of a text in order. */
export function findMentions(body: string): Mention[] {
  const inline = markdown.parse(body, {}).flatMap(({ children }) => children ?? [])
  return inline.flatMap(({ type, meta }) => (type === "mention" ? [meta as Mention] : []))
}
