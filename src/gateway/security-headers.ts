import { createMiddleware } from "hono/factory"
import { secureHeaders } from "hono/secure-headers"

const forAnswers = secureHeaders({
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  // An API is read from other origins; CORS says who may.
  crossOriginResourcePolicy: "cross-origin",
  xFrameOptions: "DENY",
  referrerPolicy: "no-referrer",
})

// Their own scripts, styles and images, and calls to this origin. Their forms are sent by scripts only.
const forPages = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", "data:"],
    connectSrc: ["'self'"],
    formAction: ["'none'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
  crossOriginResourcePolicy: "same-origin",
  xFrameOptions: "DENY",
  referrerPolicy: "no-referrer",
})

/** Nothing served here may be framed, sniffed or run, but for what pages load from here: those at or under `pages`. */
export const securityHeaders = (pages: string[]) => {
  const isPage = (path: string) => pages.some((page) => path === page || path.startsWith(`${page}/`))
  return createMiddleware((c, next) => (isPage(c.req.path) ? forPages(c, next) : forAnswers(c, next)))
}
