import type { Api } from "./api.ts"
import { keyOf } from "./batches.ts"

/**
 * Creates what is known by its name once, even if an earlier request is still on its way; anew if what that created has
 * been deleted.
 */
export async function createNamed<View extends { id: string }>(
  api: Api,
  what: string,
  path: string,
  name: string,
): Promise<View> {
  const deleted: string[] = []
  for (;;) {
    const { view, isReplay } = await api.create<View>(path, { name }, keyOf(what, name, deleted))
    if (!isReplay || (await api.find(`${path}/${view.id}`))) return view
    deleted.push(view.id)
  }
}
