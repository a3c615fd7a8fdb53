import type { RequestHandler } from "express"
import jwt from "jsonwebtoken"

export type User = { id: string; workspaceId: string }

/** Who calls, for the log and the routes; set before any of them runs. */
export const userOf = ({ locals }: { locals: Record<string, unknown> }): User => locals["user"] as User

export const authenticate =
  (secret: string): RequestHandler =>
  (request, response, next) => {
    const token = request.headers.authorization?.replace(/^Bearer /, "") ?? ""
    try {
      const claims = jwt.verify(token, secret, { algorithms: ["HS256"] }) as jwt.JwtPayload
      response.locals["user"] = { id: String(claims.sub), workspaceId: String(claims["workspaceId"]) } satisfies User
    } catch {
      response.status(401).json({ error: "Invalid token" })
      return
    }
    next()
  }

export const tokenFor = ({ id, workspaceId }: User, secret: string): string =>
  jwt.sign({ workspaceId }, secret, { algorithm: "HS256", subject: id, expiresIn: "1h" })
