import { DomainError } from "../domain/errors.ts"
import type { Mail } from "../domain/mail.ts"
import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"

type Options = { binding: SendEmail; from: string; origin: string }

const deadline = 10 * second

/** Mail through Cloudflare's Email Service, which builds and signs the message. */
export function cloudflareMail({ binding, from, origin }: Options): Mail {
  return {
    delivers: true,
    async send({ to, subject, text, html }) {
      try {
        await within(deadline, binding.send({ from, to, subject, text, html }))
      } catch (cause) {
        throw new DomainError("unavailable", "The mail could not be handed over for delivery", {
          retryAfter: 60,
          cause,
        })
      }
    },
    link: (path) => `${origin}${path}`,
  }
}
