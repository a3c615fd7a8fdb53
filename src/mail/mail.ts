import type { Mail } from "../domain/mail.ts"
import type { Bindings, Settings } from "../env.ts"
import { cloudflareMail } from "./cloudflare-mail.ts"
import { embeddedMail } from "./embedded-mail.ts"
import { noMail } from "./no-mail.ts"

type Given = {
  bindings: Pick<Bindings, "EMAIL" | "MAILBOX">
  settings: Pick<Settings, "ENVIRONMENT" | "MAIL_FROM" | "ORIGIN">
  now: () => number
}

/** How a deployment sends mail, decided here and nowhere else. */
export function mailOf({ bindings: { EMAIL, MAILBOX }, settings, now }: Given): Mail {
  const { ENVIRONMENT, MAIL_FROM: from, ORIGIN: origin } = settings
  // With EMAIL bound, the settings have been checked to hold both.
  if (EMAIL && from && origin) return cloudflareMail({ binding: EMAIL, from, origin })
  if (ENVIRONMENT === "production" || !origin) return noMail
  return embeddedMail({ boxes: MAILBOX, origin, now })
}
