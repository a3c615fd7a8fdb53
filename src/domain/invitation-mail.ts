import { formatInvitationToken, type InvitationToken } from "../lib/invitation-token.ts"
import { rfc3339 } from "../lib/time.ts"
import { letter } from "./account-mail.ts"
import type { Mail, Message } from "./mail.ts"

/** What sending takes: whoever delivers, and the key that closes tokens. */
export type Sender = { mail: Mail; instanceKey: CryptoKey }

type Invited = { to: string; inviter: string; workspace: string; expiresAt: number } & InvitationToken

/** Sends an invitation with its token, which is told nowhere else. False: it was not delivered, for whatever reason. */
export async function sendInvitation({ mail, instanceKey }: Sender, invited: Invited): Promise<boolean> {
  const token = await formatInvitationToken(instanceKey, invited)
  try {
    await mail.send(invitationLetter(mail, invited, token))
    return true
  } catch {
    // The invitation stands whether or not its mail went out; the answer tells, and it can be sent again.
    return false
  }
}

/** Names are chosen by people: on one line, so that they cannot look like lines of ours. */
const oneLine = (text: string) => text.replaceAll(/\s+/g, " ")

function invitationLetter(mail: Mail, { to, inviter, workspace, expiresAt }: Invited, token: string): Message {
  const invitation = `${oneLine(inviter)} invites you to the workspace “${oneLine(workspace)}”.`
  return letter(
    {
      to,
      kind: "invitation",
      subject: `Invitation to ${oneLine(workspace)}`,
      paragraphs: [
        `${invitation} Open this link to accept, signed in with this e-mail address:`,
        `It works until ${rfc3339(expiresAt)}. If you did not expect it, ignore this mail.`,
      ],
    },
    {
      link: mail.link(`/invitations#token=${token}`),
      method: "PUT /api/v1/invitations/acceptance",
      body: JSON.stringify({ token }),
    },
  )
}
