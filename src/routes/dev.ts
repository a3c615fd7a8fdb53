import { Hono } from "hono"
import { html } from "hono/html"
import { Mailbox } from "../contracts/dev.ts"
import type { AppEnv } from "../http/context.ts"
import { operation } from "../http/contract.ts"
import { rfc3339 } from "../lib/time.ts"
import { keptMessages } from "../mail/embedded-mail.ts"
import type { KeptMessage } from "../mail/mailbox.ts"

/** What helps on one's own machine. Not mounted in production. */
export const devRoutes = new Hono<AppEnv>()

devRoutes.get(
  "/dev/mailbox",
  operation("The mail that was kept here instead of sent", Mailbox, 200, {
    isPublic: true,
    description: "Newest first; a page, unless `Accept` asks for JSON. Not there in production.",
  }),
  async (c) => {
    const messages = await keptMessages(c.env.MAILBOX)
    c.header("cache-control", "no-store")
    c.header("vary", "Accept", { append: true })
    if (c.req.header("accept")?.includes("application/json")) {
      return c.json({ data: messages.map((message) => ({ ...message, at: rfc3339(message.at) })) })
    }
    return c.html(mailboxPage(messages))
  },
)

// Without style or script: the policy of every other answer holds for this one too.
const mailboxPage = (messages: KeptMessage[]) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Edgewise: mailbox</title>
  </head>
  <body>
    <h1>Mailbox</h1>
    <p>Mail is not sent from here: ${messages.length === 0 ? "nothing has been written yet." : "the newest is on top."}</p>
    ${messages.map(article)}
  </body>
</html>`

const article = ({ to, subject, kind, text, at }: KeptMessage) => html`
    <hr />
    <article>
      <h2>${subject}</h2>
      <p>To ${to}, <time datetime="${rfc3339(at)}">${rfc3339(at)}</time>, ${kind}</p>
      ${text.split("\n").map((line) => html`${linked(line)}<br />`)}
    </article>`

/** A line of text whose web addresses can be clicked. */
const linked = (line: string) =>
  line.split(/(https?:\/\/\S+)/).map((part, index) => (index % 2 === 1 ? html`<a href="${part}">${part}</a>` : part))
