import { type Mail, noDelivery } from "../domain/mail.ts"

/** For a deployment in production that has nothing to send mail with. */
export const noMail: Mail = {
  delivers: false,
  send: () => Promise.reject(noDelivery()),
  link() {
    throw noDelivery()
  },
}
