import { disabledFor } from "../domain/webhook-mail.ts"
import { findActiveWebhooks, type LeasedAttempt, leaseDue, owe } from "../domain/webhook-queue.ts"
import type { MadeWebhook } from "../domain/webhook-rows.ts"
import { handOver } from "./outage.ts"
import type { DeliveryMessage, LetterMessage, Reader, ReaderCtx } from "./reader.ts"

/** As many as a queue takes at once. */
const messagesPerBatch = 100

const isOfWebhooks = ({ type }: { type: string }) => type.startsWith("webhook.")

/**
 * Owes webhooks what happens. Which there are is remembered, and asked again once the log says that it has changed: a
 * workspace without webhooks costs no query per event.
 */
export function toWebhooks(queue: Queue<DeliveryMessage>, letters: Queue<LetterMessage>): Reader {
  let known: MadeWebhook[] | null = null
  return {
    name: "webhooks",
    async read(ctx, entries) {
      // Before the cursor moves on: whoever is to be told is told at least once, and each of them alone.
      const told = await disabledFor(ctx.db, ctx.workspaceId, entries)
      for (const body of told) await handOver(letters.send(body))
      if (!known || entries.some(isOfWebhooks)) known = await findActiveWebhooks(ctx.db, ctx.workspaceId)
      if (known.length === 0) return
      await enqueue(queue, ctx.workspaceId, await owe(ctx, known, entries))
      if (entries.some(({ type }) => type === "webhook.replayed")) await sweepDeliveries(ctx, queue)
    },
  }
}

/** Queues what is owed by now. Resolves with the time at which something is owed next; null: nothing is. */
export async function sweepDeliveries(ctx: ReaderCtx, queue: Queue<DeliveryMessage>): Promise<number | null> {
  const { due, nextAt } = await leaseDue(ctx)
  await enqueue(queue, ctx.workspaceId, due)
  return nextAt
}

/** What the queue does not take is due again when its lease ends. */
async function enqueue(
  queue: Queue<DeliveryMessage>,
  workspaceId: string,
  due: readonly LeasedAttempt[],
): Promise<void> {
  for (let from = 0; from < due.length; from += messagesPerBatch) {
    const batch = due.slice(from, from + messagesPerBatch)
    await handOver(queue.sendBatch(batch.map((each) => ({ body: { workspaceId, ...each } }))))
  }
}
