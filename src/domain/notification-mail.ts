import { letter } from "./account-mail.ts"
import type { Message } from "./mail.ts"
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

const told = ({ kind, taskKey, title, actorName, text }: Kept) => {
  const what = `${deeds[kind](oneLine(actorName ?? "") || "Somebody")} ${taskKey} “${oneLine(title)}”.`
  return text ? `${what} ${oneLine(text)}` : what
}

/** One mail for all that is to be told: what happened, one paragraph each, oldest first. */
export function notificationLetter(to: string, kept: readonly Kept[]): Message {
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
      ...kept.map(told),
      "You get this because your notification settings ask for it. Turn a kind off, or have them gathered hourly or daily: PATCH /api/v1/me with notifications or mail.",
    ],
  })
}
