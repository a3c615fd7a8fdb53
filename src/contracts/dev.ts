import * as z from "zod"
import { Time } from "./common.ts"

export const Mailbox = z.object({
  data: z.array(
    z.object({
      id: z.int(),
      to: z.string(),
      subject: z.string(),
      kind: z.string(),
      text: z.string(),
      html: z.string(),
      at: Time,
    }),
  ),
})
