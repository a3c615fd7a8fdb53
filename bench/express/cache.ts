import type { RequestHandler } from "express"
import type { Redis } from "ioredis"
import { type User, userOf } from "./authenticate.ts"

// Which answers a user has is kept in a set, so that a write finds them without looking through all that is cached.
const setOf = ({ id }: User) => `cached:${id}`

/** Answers from Redis for a while, by user and URL. Whatever the route answers is kept. */
export const cache =
  (redis: Redis, seconds: number): RequestHandler =>
  async (request, response, next) => {
    const user = userOf(response)
    const key = `cache:${user.id}:${request.originalUrl}`
    const known = await redis.get(key)
    response.set("x-cache", known === null ? "MISS" : "HIT")
    if (known !== null) {
      response.type("json").send(known)
      return
    }
    const json = response.json.bind(response)
    response.json = (body: unknown) => {
      if (response.statusCode === 200) void keep(redis, user, key, JSON.stringify(body), seconds)
      return json(body)
    }
    next()
  }

const keep = (redis: Redis, user: User, key: string, text: string, seconds: number): Promise<unknown> =>
  redis.pipeline().setex(key, seconds, text).sadd(setOf(user), key).expire(setOf(user), seconds).exec()

/** Forgets what was answered to a user: any of it may show what they have just changed. */
export async function forget(redis: Redis, user: User): Promise<void> {
  const keys = await redis.smembers(setOf(user))
  await redis.unlink(setOf(user), ...keys)
}
