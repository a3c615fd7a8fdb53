import { letter } from "./account-mail.ts"
import type { Mail, Message } from "./mail.ts"
import type { Kept } from "./notifications.ts"

/** Titles and names are chosen by people: on one line, so that they cannot look like lines of ours. */
const oneLine = (text: string) => text.replaceAll(/\s+/g, " ").trim()

const deeds = {
  assigned: (who: string) => `${who} assigned you`,
  mentioned: (who: string) => `${who} mentioned you on`,
  commented: (who: string) => `${who} commented on`,
  closed: (who: string) => `${who} closed`,
  created: (who: string) => `${who} created`,
  due: () => "Due:",
} as const satisfies Record<Kept["kind"], (who: string) => string>

function told({ kind, taskId, taskKey, title, actorName, text }: Kept, mail: Pick<Mail, "link">): string {
  const what = `${deeds[kind](oneLine(actorName ?? "") || "Somebody")} ${taskKey} “${oneLine(title)}”.`
  return [what, oneLine(text), mail.link(`/api/v1/tasks/${taskId}`)].filter((part) => part !== "").join(" ")
}

/** One mail for all that is to be told: what happened, one paragraph each, oldest first. */
export function notificationLetter(mail: Pick<Mail, "link">, to: string, kept: readonly Kept[]): Message {
  const [first] = kept
  const subject =
    kept.length === 1 && first
      ? `${first.taskKey}: ${oneLine(first.title)}`
      : `${kept.length} things happened, the last on ${kept.at(-1)?.taskKey ?? ""}`
  return letter({
    to,
    kind: "notification",
    subject: subject.slice(0, 200),
    paragraphs: [
      ...kept.map((one) => told(one, mail)),
      "You get this because your notification settings ask for it. Turn a kind off, or have them gathered hourly or daily: PATCH /api/v1/me with notifications or mail. Silence one task: PUT /api/v1/tasks/<id>/mute.",
    ],
  })
}
