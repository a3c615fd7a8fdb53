import type { RequestHandler } from "express"
import winston, { type Logger } from "winston"
import { userOf } from "./authenticate.ts"

const { combine, timestamp, errors, json } = winston.format

export const openLog = (filename: string): Logger =>
  winston.createLogger({
    level: "info",
    format: combine(timestamp(), errors({ stack: true }), json()),
    defaultMeta: { service: "scalable-api" },
    transports: [new winston.transports.File({ filename })],
  })

export const logRequests =
  (log: Logger): RequestHandler =>
  (request, response, next) => {
    const start = performance.now()
    response.on("finish", () => {
      log.info("HTTP Request", {
        method: request.method,
        url: request.originalUrl,
        status: response.statusCode,
        durationMs: Math.round(performance.now() - start),
        ip: request.ip,
        userAgent: request.get("User-Agent"),
        userId: userOf(response)?.id,
      })
    })
    next()
  }
