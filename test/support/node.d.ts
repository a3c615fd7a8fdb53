declare module "vitest" {
  interface ProvidedContext {
    /** Why this machine has no Postgres; empty when it has one. */
    postgresMissing: string
    redisMissing: string
  }
}

export {}
