import type { LabelView } from "../../src/contracts/labels.ts"
import { labelKey } from "../../src/lib/label-names.ts"
import { type Api, Refused } from "./api.ts"
import { keyOf } from "./batches.ts"

/** The labels of the workspace, by name. */
export type Labels = {
  /** Creates those of the names that have no label, and tells the id of each. */
  idsOf(names: string[]): Promise<(name: string) => string>
}

const path = "/api/v1/labels"
const mostAtOnce = 100
// Somebody else creates labels of these names at the same time, or deletes them: not for long.
const rounds = 5

export async function openLabels(api: Api): Promise<Labels> {
  let ids = new Map<string, string>()
  const note = (labels: LabelView[]) => labels.map(({ id, name }) => [labelKey(name), id] as const)
  const load = async () => {
    ids = new Map(note(await api.list<LabelView>(`${path}?limit=200`)))
  }
  await load()

  /** Creates labels; whatever came in between, what is there afterwards is known. */
  async function create(names: string[], round: number): Promise<void> {
    try {
      const body = { labels: names.map((name) => ({ name })) }
      const { view, isReplay } = await api.create<{ data: LabelView[] }>(`${path}/bulk`, body, keyOf(names, round))
      if (isReplay) await load()
      else for (const [key, id] of note(view.data)) ids.set(key, id)
    } catch (error) {
      // Somebody has created one of them since.
      if (!(error instanceof Refused && error.status === 409) || round === rounds) throw error
      await load()
    }
  }

  return {
    async idsOf(names) {
      const byKey = new Map(names.map((name) => [labelKey(name), name]))
      for (let round = 1; round <= rounds; round += 1) {
        const missing = Array.from(byKey).flatMap(([key, name]) => (ids.has(key) ? [] : [name]))
        for (let from = 0; from < missing.length; from += mostAtOnce) {
          await create(missing.slice(from, from + mostAtOnce), round)
        }
      }
      return (name) => {
        const id = ids.get(labelKey(name))
        if (!id)
          throw new Error(`The label ${name} is deleted as often as it is created: try again when that has ended`)
        return id
      }
    },
  }
}
