import type { LabelView } from "../../src/contracts/labels.ts"
import { labelKey } from "../../src/lib/label-names.ts"
import { type Api, Refused } from "./api.ts"
import { createNamed } from "./named.ts"

/** The labels of the workspace, by name. */
export type Labels = {
  /** Creates those of the names that have no label, and tells the id of each. */
  idsOf(names: string[]): Promise<(name: string) => string>
}

const path = "/api/v1/labels"
const atOnce = 8

export async function openLabels(api: Api): Promise<Labels> {
  const ids = new Map<string, string>()
  const load = async () => {
    for (const { id, name } of await api.list<LabelView>(`${path}?limit=200`)) ids.set(labelKey(name), id)
  }
  await load()

  async function create(name: string): Promise<void> {
    try {
      const { id } = await createNamed<LabelView>(api, "label", path, name)
      ids.set(labelKey(name), id)
    } catch (error) {
      // Somebody has created it since.
      if (!(error instanceof Refused && error.status === 409)) throw error
      await load()
      if (!ids.has(labelKey(name))) throw error
    }
  }

  return {
    async idsOf(names) {
      const missing = [...new Map(names.map((name) => [labelKey(name), name]))].filter(([key]) => !ids.has(key))
      for (let from = 0; from < missing.length; from += atOnce) {
        await Promise.all(missing.slice(from, from + atOnce).map(([, name]) => create(name)))
      }
      return (name) => ids.get(labelKey(name)) ?? ""
    },
  }
}
