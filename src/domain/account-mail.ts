import { escaped } from "../lib/escape.ts"
import { day, hour, minute } from "../lib/time.ts"
import type { Mail, Message } from "./mail.ts"

// No name of anybody stands in these: whoever registers chooses one, and mail goes to whatever address they gave.

type Letter = { to: string; kind: Message["kind"]; subject: string; paragraphs: string[] }

/** A link that is used once, and how to do the same with the API. In the fragment a token reaches no server's log. */
type Action = { link: string; method: string; body: string }

export function letter({ to, kind, subject, paragraphs }: Letter, action?: Action): Message {
  const [first = "", ...rest] = paragraphs
  const withApi = action && `With the API: ${action.method} with this body:`
  return {
    to,
    kind,
    subject,
    text: [first, ...(action ? [action.link] : []), ...rest, ...(action ? [`${withApi}\n${action.body}`] : [])].join(
      "\n\n",
    ),
    html: [
      `<p>${escaped(first)}</p>`,
      ...(action ? [`<p><a href="${escaped(action.link)}">${escaped(action.link)}</a></p>`] : []),
      ...rest.map((paragraph) => `<p>${escaped(paragraph)}</p>`),
      ...(action ? [`<p>${withApi}<br><code>${escaped(action.body)}</code></p>`] : []),
    ].join("\n"),
  }
}

function lifeOf(ms: number): string {
  if (ms < hour) return `${ms / minute} minutes`
  return ms <= day ? `${ms / hour} hours` : `${ms / day} days`
}

export function verificationLetter(mail: Mail, to: string, token: string, life: number): Message {
  return letter(
    {
      to,
      kind: "verification",
      subject: "Confirm your e-mail address",
      paragraphs: [
        "Open this link to confirm that this e-mail address is yours:",
        `It works for ${lifeOf(life)}. If you did not register, ignore this mail.`,
      ],
    },
    {
      link: mail.link(`/verify-email#token=${token}`),
      method: "PUT /api/v1/auth/verification",
      body: JSON.stringify({ token }),
    },
  )
}

export function resetLetter(mail: Mail, to: string, token: string, life: number): Message {
  return letter(
    {
      to,
      kind: "password_reset",
      subject: "Choose a new password",
      paragraphs: [
        "Somebody asked for a new password for the account with this e-mail address. Open this link to choose one:",
        `It works once, for ${lifeOf(life)}, and signs every device out. If it was not you, ignore this mail: nothing has changed.`,
      ],
    },
    {
      link: mail.link(`/reset-password#token=${token}`),
      method: "PUT /api/v1/auth/password-reset",
      body: JSON.stringify({ token, password: "…" }),
    },
  )
}

export function changeLetter(mail: Mail, to: string, token: string, life: number): Message {
  return letter(
    {
      to,
      kind: "email_change",
      subject: "Confirm your new e-mail address",
      paragraphs: [
        "Open this link to make this the e-mail address of your account:",
        `It works once, for ${lifeOf(life)}. If you did not ask for it, ignore this mail.`,
      ],
    },
    {
      link: mail.link(`/confirm-email#token=${token}`),
      method: "PUT /api/v1/auth/email-change",
      body: JSON.stringify({ token }),
    },
  )
}

const notYou =
  "If it was not you, somebody else knows your password: choose a new one, and sign out the devices that you do not know."

export const changedLetter = (to: string): Message =>
  letter({
    to,
    kind: "email_changed",
    subject: "Your e-mail address was changed",
    paragraphs: ["Your account has another e-mail address now; this one signs nobody in any more.", notYou],
  })

export const passwordLetter = (to: string): Message =>
  letter({
    to,
    kind: "password_changed",
    subject: "Your password was changed",
    paragraphs: ["Your account has a new password. Its other devices were signed out.", notYou],
  })
