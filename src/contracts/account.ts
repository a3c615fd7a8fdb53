import * as z from "zod"
import { Email } from "./auth.ts"
import { text } from "./common.ts"

// As at registration: the verb knows the common ones. What is compared is only bounded.
const NewPassword = text(8, 256)
const PresentPassword = z.string().max(1_024)
const token = z.string().max(512).meta({ description: "Out of the mail" })

export const MailedToken = z.strictObject({ token })
export const ResetRequest = z.strictObject({ email: Email })
export const Reset = z.strictObject({ token, password: NewPassword })
export const PasswordChange = z.strictObject({ current: PresentPassword, password: NewPassword })
export const EmailChangeRequest = z.strictObject({ email: Email, password: PresentPassword })
