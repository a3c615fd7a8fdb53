/** One message to one person, as plain text and as HTML that says the same. */
export type Message = {
  to: string
  subject: string
  text: string
  html: string
  /** What it is about, for whoever keeps or counts messages. */
  kind: "verification" | "password_reset" | "email_change" | "email_changed" | "invitation"
}

export type Mail = {
  /** Hands a message over for delivery. Throws `unavailable` where nothing delivers. */
  send(message: Message): Promise<void>
  /** An absolute link to a page of the product, from the configured origin and never from a request. */
  link(path: string): string
}
