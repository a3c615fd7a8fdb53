import { typeid } from "typeid-js"

/** What an id names. The prefix is part of the id: `tsk_01jd…` (TypeID: a prefix and a UUIDv7, so ids sort by creation). */
export const idPrefixes = {
  apiKey: "key",
  comment: "com",
  commit: "cmt",
  invitation: "inv",
  label: "lbl",
  notification: "ntf",
  project: "prj",
  reminder: "rem",
  request: "req",
  session: "ses",
  task: "tsk",
  user: "usr",
  webhook: "whk",
  workspace: "wsp",
} as const

export type IdKind = keyof typeof idPrefixes

export const newId = (kind: IdKind): string => typeid(idPrefixes[kind]).toString()

// 26 characters of Crockford base32; the first cannot pass 7, because a UUID has 128 bits.
export const idPattern = (kind: IdKind): RegExp => new RegExp(`^${idPrefixes[kind]}_[0-7][0-9a-hjkmnp-tv-z]{25}$`)

const taskKey = /^[A-Z][A-Z0-9]{1,15}-\d{1,15}$/

/** Whether a text can name a task: by its id, or by a key such as WEB-42. */
export const isTaskName = (text: string): boolean => idPattern("task").test(text) || taskKey.test(text)
