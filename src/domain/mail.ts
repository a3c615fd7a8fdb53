import { DomainError } from "./errors.ts"

/** One message to one person, as plain text and as HTML that says the same. */
export type Message = {
  to: string
  subject: string
  text: string
  html: string
  /** What it is about, for whoever keeps or counts messages. */
  kind:
    | "verification"
    | "password_reset"
    | "email_change"
    | "email_changed"
    | "password_changed"
    | "invitation"
    | "notification"
    | "webhook_disabled"
}

/** What is asked for where nothing delivers. */
export const noDelivery = () =>
  new DomainError("unavailable", "This deployment sends no mail: bind EMAIL and set MAIL_FROM", { retryAfter: 3_600 })

export type Mail = {
  /** Whether this deployment sends mail at all: where it does not, some mail is better not written than refused. */
  delivers: boolean
  /** Hands a message over for delivery. Throws `unavailable` where nothing delivers. */
  send(message: Message): Promise<void>
  /** An absolute link to a page of the product, from the configured origin and never from a request. Throws like `send`. */
  link(path: string): string
}
