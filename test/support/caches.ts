import type { Store } from "../../src/cache/store.ts"

/** Keeps nothing, as the Cache API does on workers.dev. */
export const forgetful: Store = {
  get: async () => null,
  put: async () => true,
  forget: async () => true,
}
