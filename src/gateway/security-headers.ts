import { secureHeaders } from "hono/secure-headers"

/** Nothing served here may be framed, sniffed or run, except what `docs` opens for its own page. */
export const securityHeaders = () =>
  secureHeaders({
    contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    // An API is read from other origins; CORS says who may.
    crossOriginResourcePolicy: "cross-origin",
    xFrameOptions: "DENY",
    referrerPolicy: "no-referrer",
  })

/** For pages: their own scripts, styles and images, and calls to this origin. Their forms are sent by scripts only. */
export const pageSecurityHeaders = () =>
  secureHeaders({
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
