const emoji = /^\p{RGI_Emoji}$/v

/**
 * One emoji as Unicode recommends it for interchange; null for anything else. Some keyboards leave out the selector that
 * asks for the picture (U+FE0F), so it is put where it belongs: one picture has one spelling.
 */
export function toEmoji(text: string): string | null {
  if (emoji.test(text)) return text
  return emoji.test(`${text}\uFE0F`) ? `${text}\uFE0F` : null
}
