import type { Mail } from "../domain/mail.ts"
import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { KeptMessage, Mailbox } from "./mailbox.ts"

type Boxes = DurableObjectNamespace<Mailbox>

const deadline = 5 * second

/** The one mailbox of a deployment. */
const boxOf = (boxes: Boxes) => boxes.getByName("outbox")

/** Mail that stays here, where GET /dev/mailbox shows it. */
export function embeddedMail({ boxes, origin, now }: { boxes: Boxes; origin: string; now: () => number }): Mail {
  return {
    delivers: true,
    send: async (message) => {
      await within(deadline, boxOf(boxes).keep(message, now()))
    },
    link: (path) => `${origin}${path}`,
  }
}

/** What was kept, newest first. */
export const keptMessages = (boxes: Boxes): Promise<KeptMessage[]> => within(deadline, boxOf(boxes).list())
