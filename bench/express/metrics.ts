import type { RequestHandler } from "express"
import { collectDefaultMetrics, Histogram, register } from "prom-client"

collectDefaultMetrics()

const httpRequestDuration = new Histogram({
  name: "http_request_duration_seconds",
  help: "Duration of HTTP requests in seconds",
  labelNames: ["method", "route", "status"],
})

export const observe: RequestHandler = (request, response, next) => {
  const end = httpRequestDuration.startTimer()
  response.on("finish", () => {
    end({ method: request.method, route: String(request.route?.path ?? "none"), status: response.statusCode })
  })
  next()
}

export const metricsText = (): Promise<string> => register.metrics()
