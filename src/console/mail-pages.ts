import { Hono } from "hono"
import { html } from "hono/html"
import { asset, assetPaths } from "../http/assets.ts"
import type { AppEnv } from "../http/context.ts"

/** The pages behind the links in mails, for people without a client at hand. They call the API like every other client. */
export const mailPages = new Hono<AppEnv>()

type Content = ReturnType<typeof html>
type Page = { path: string; title: string; content: Content }

// Hidden until the script is there to send it: a browser alone would put a password into an address.
const form = (action: string, content: Content) =>
  html`<form method="post" hidden data-action="${action}">${content}</form>`
const submit = (label: string) => html`<button type="submit">${label}</button>`
const email = html`<label>E-mail address<input name="email" type="email" autocomplete="username" required /></label>`
const password = (autocomplete: string, minLength: number) =>
  html`<label>Password<input name="password" type="password" autocomplete="${autocomplete}" minlength="${minLength}" required /></label>`

const pages: Page[] = [
  {
    path: "/verify-email",
    title: "Confirm your e-mail address",
    content: form("verify", submit("Confirm")),
  },
  {
    path: "/reset-password",
    title: "Choose a new password",
    content: form("reset", html`${password("new-password", 8)}${submit("Change the password")}`),
  },
  {
    path: "/confirm-email",
    title: "Confirm your new e-mail address",
    content: form("change", submit("Confirm")),
  },
  {
    path: "/invitations",
    title: "Accept an invitation",
    content: html`${form(
      "sign-in",
      html`<h2>With the account that you have</h2>
        ${email}${password("current-password", 1)}${submit("Sign in and accept")}`,
    )}${form(
      "register",
      html`<h2>With a new account</h2>
        <label>Name<input name="name" autocomplete="name" maxlength="100" required /></label>
        ${email}${password("new-password", 8)}${submit("Register and accept")}`,
    )}`,
  },
]

/** What of this app is a page, with rules of its own about what it may load. */
export const pagePaths = ["/pages", ...pages.map(({ path }) => path)]

for (const page of pages) {
  mailPages.get(page.path, async (c) => {
    // The address holds a secret, in the part that stays in the browser.
    c.header("cache-control", "no-store")
    return c.html(frame(page, await assetPaths(c)))
  })
}

mailPages.get("/pages/:name", asset)

const frame = ({ title, content }: Page, pathOf: (name: string) => string) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="robots" content="noindex" />
    <title>${title}</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="${pathOf("pages/pages.css")}" />
  </head>
  <body>
    <main>
      <h1>${title}</h1>
      <p role="status"></p>
      ${content}
      <noscript>This page needs JavaScript; the mail says how to do the same with the API.</noscript>
    </main>
    <script src="${pathOf("pages/mail-pages.js")}" type="module"></script>
  </body>
</html>`
