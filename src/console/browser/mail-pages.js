// What the links in mails lead to. The token stands in the fragment of the address, which no server and no log sees; it
// goes to the API when the person says so, and not when something opens the link to look at it.

const api = "/api/v1"
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? ""
const status = document.querySelector("[role=status]")
const forms = [...document.forms]

/** Asks the API. Throws what its problem says, in words for people. */
async function send(method, path, body, accessToken) {
  const answer = await fetch(api + path, {
    method,
    headers: {
      "content-type": "application/json",
      ...(accessToken && { authorization: `Bearer ${accessToken}` }),
    },
    body: JSON.stringify(body),
  })
  const view = answer.status === 204 ? null : await answer.json().catch(() => null)
  if (answer.ok) return view
  const errors = (view?.errors ?? []).map(({ pointer, detail }) => `${pointer.replace("/", "")} ${detail}`)
  throw new Error(errors.join("; ") || view?.detail || `The server answered ${answer.status}`)
}

/** Signs in just for this, and out again: this page keeps nobody signed in. */
async function acceptAs(signIn) {
  const { accessToken, refreshToken } = await signIn
  try {
    const { workspace } = await send("PUT", "/invitations/acceptance", { token }, accessToken)
    return `You are a member of ${workspace.name} now.`
  } finally {
    await send("POST", "/auth/logout", { refreshToken }).catch(() => null)
  }
}

const actions = {
  verify: async () => {
    await send("PUT", "/auth/verification", { token })
    return "This e-mail address is confirmed."
  },
  reset: async ({ password }) => {
    await send("PUT", "/auth/password-reset", { token, password })
    return "Your password is changed, and every device is signed out. Sign in with the new one."
  },
  change: async () => {
    await send("PUT", "/auth/email-change", { token })
    return "This is the e-mail address of your account now."
  },
  "sign-in": (credentials) => acceptAs(send("POST", "/auth/login", credentials)),
  register: (registration) => acceptAs(send("POST", "/auth/register", registration)),
}

/** Tells what came of it. What went wrong is read out at once, what went well when there is time. */
function tell(text, isWrong) {
  status.textContent = text
  status.setAttribute("aria-live", isWrong ? "assertive" : "polite")
  status.className = isWrong ? "wrong" : "done"
}

for (const form of forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    const button = form.querySelector("button")
    button.disabled = true
    tell("One moment …", false)
    try {
      tell(await actions[form.dataset.action](Object.fromEntries(new FormData(form))), false)
      for (const other of forms) other.hidden = true
      // Used up: nobody needs to find it in the history of this browser.
      history.replaceState(null, "", location.pathname)
    } catch (error) {
      tell(error instanceof Error ? error.message : String(error), true)
      button.disabled = false
    }
  })
}

if (token === "") tell("This link is not complete: open it from the mail again, or copy all of it.", true)
for (const form of forms) form.hidden = token === ""
