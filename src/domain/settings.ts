import {
  type MePatchInput,
  type MeView,
  type NotificationChannel,
  type NotificationKind,
  notificationKinds,
} from "../contracts/me.ts"
import { mergePatch } from "../lib/merge-patch.ts"

// What a user has chosen is stored as it was chosen; what they have not chosen is filled in where it is read.

export type Settings = Pick<MeView, "locale" | "weekStart" | "theme" | "defaultProjectId" | "notifications" | "mail">
export type SettingsPatch = Omit<MePatchInput, "name" | "timeZone" | "revision">

type Stored = Partial<Pick<Settings, "locale" | "weekStart" | "theme" | "mail">> & {
  notifications?: Partial<Record<NotificationKind, Partial<Record<NotificationChannel, boolean>>>>
  /** By workspace, the latest choice last. */
  defaultProjects?: Record<string, string>
}

const unchosen = { locale: "en", weekStart: "monday", theme: "system", mail: "at_once" } as const satisfies Stored

const told: Settings["notifications"] = {
  assigned: { inbox: true, email: true },
  mentioned: { inbox: true, email: true },
  commented: { inbox: true, email: false },
  due: { inbox: true, email: true },
  closed: { inbox: true, email: false },
  created: { inbox: true, email: false },
}

const workspacesAtMost = 200

/** What holds for a user in a workspace. */
export function settingsIn(workspaceId: string, stored: Stored): Settings {
  const { locale, weekStart, theme, mail, notifications = {}, defaultProjects = {} } = stored
  const chosen = notificationKinds.map((kind) => [kind, { ...told[kind], ...notifications[kind] }])
  return {
    locale: locale ?? unchosen.locale,
    weekStart: weekStart ?? unchosen.weekStart,
    theme: theme ?? unchosen.theme,
    mail: mail ?? unchosen.mail,
    defaultProjectId: defaultProjects[workspaceId] ?? null,
    notifications: Object.fromEntries(chosen) as Settings["notifications"],
  }
}

/** What is stored after a patch. Of default projects, the oldest choices go when there are too many. */
export function changeSettings(
  workspaceId: string,
  stored: Stored,
  { defaultProjectId, ...patch }: SettingsPatch,
): Record<string, unknown> {
  const changed = mergePatch(stored, patch) as Record<string, unknown>
  if (defaultProjectId === undefined) return changed
  const others = Object.entries(stored.defaultProjects ?? {}).filter(([id]) => id !== workspaceId)
  const chosen = defaultProjectId === null ? others : [...others, [workspaceId, defaultProjectId]]
  return { ...changed, defaultProjects: Object.fromEntries(chosen.slice(-workspacesAtMost)) }
}
