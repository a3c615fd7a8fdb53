import type { PersonView } from "../contracts/comments.ts"
import { mentionedBefore } from "./mentions.ts"

/** As much Markdown is rendered for one answer: half a second of work at the worst. */
export const renderedBytes = 128 * 1_024

/** Markdown as safe HTML, in which those of the people who are mentioned are marked. */
export async function renderHtml(
  body: string,
  { mentionCalls, people }: { mentionCalls: Record<string, string>; people: PersonView[] },
): Promise<string> {
  const { toHtml } = await import("./markdown.ts")
  return toHtml(body, mentionedBefore({ mentionCalls }, people))
}
