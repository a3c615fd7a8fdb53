import { generateKeyBetween } from "fractional-indexing"

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
const width = 9
const perMillisecond = 4_096n

/**
 * A fractional index that sorts after every one made earlier, without reading the list it is appended to: the time as
 * the integer part of a key ("i" announces nine digits). `offset` (0 to 4095) orders what is made in one millisecond.
 * Nine digits last until 62^9 / 4,096 ms, in the year 2074; then the head becomes "j", which still sorts after "i".
 */
export function positionAtEnd(now: number, offset = 0): string {
  // Beyond 2^53 from the year 2039 on.
  let rest = BigInt(now) * perMillisecond + BigInt(offset)
  let text = ""
  for (let place = 0; place < width || rest > 0n; place += 1) {
    text = digits.charAt(Number(rest % 62n)) + text
    rest /= 62n
  }
  return String.fromCharCode("a".charCodeAt(0) + text.length - 1) + text
}

/** In characters: each that comes between two others may be a little longer than both. */
export const longestPosition = 255

/** A fractional index between two others; null stands for the beginning and the end. */
export const positionBetween = (low: string | null, high: string | null): string => generateKeyBetween(low, high)

/** Whether a text is a fractional index in the form of the `fractional-indexing` library (base 62). */
export function isPosition(text: string): boolean {
  // The library itself does not look at every digit.
  if (!/^[0-9A-Za-z]+$/.test(text)) return false
  try {
    generateKeyBetween(text, null)
    return true
  } catch {
    return false
  }
}
