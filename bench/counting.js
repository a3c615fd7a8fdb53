// Stands before the built Worker and counts what it asks of its surroundings. `GET /counted` tells what was counted
// since the last time. Plain JavaScript: the runtime loads this file as it is.
import worker from "./worker.js"

// biome-ignore lint/performance/noBarrelFile: Durable Objects are looked for in the first module.
export * from "./worker.js"

const counts = { cacheMatch: 0, cachePut: 0, cacheDelete: 0, limiter: 0, sessions: 0, trips: 0, statements: 0 }

for (const [method, name] of [
  ["match", "cacheMatch"],
  ["put", "cachePut"],
  ["delete", "cacheDelete"],
]) {
  const original = Cache.prototype[method]
  Cache.prototype[method] = function (...given) {
    counts[name] += 1
    return original.apply(this, given)
  }
}

/** The same object, of which some methods are other ones. */
const instead = (object, methods) =>
  new Proxy(object, {
    get(target, name) {
      if (name in methods) return methods[name]
      const value = target[name]
      return typeof value === "function" ? value.bind(target) : value
    },
  })

/** A namespace of Durable Objects, of which every call is counted. */
const calls = (namespace, name) => {
  const counted = (stub) =>
    new Proxy(stub, {
      get(target, method) {
        const value = target[method]
        if (typeof value !== "function") return value
        return (...given) => {
          counts[name] += 1
          return target[method](...given)
        }
      },
    })
  return instead(namespace, {
    get: (...given) => counted(namespace.get(...given)),
    getByName: (...given) => counted(namespace.getByName(...given)),
  })
}

const countedDatabase = (database) =>
  instead(database, {
    withSession(from) {
      const session = database.withSession(from)
      return instead(session, {
        batch(statements) {
          counts.trips += 1
          counts.statements += statements.length
          return session.batch(statements)
        },
      })
    },
  })

let counted
const watched = (env) => ({
  ...env,
  ...(env.DB && { DB: countedDatabase(env.DB) }),
  RATE_LIMITER: calls(env.RATE_LIMITER, "limiter"),
  USER_HUB: calls(env.USER_HUB, "sessions"),
})

export default {
  fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/counted") {
      const told = Response.json(counts)
      for (const name of Object.keys(counts)) counts[name] = 0
      return told
    }
    counted ??= watched(env)
    return worker.fetch(request, counted, ctx)
  },
}
