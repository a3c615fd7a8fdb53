import type { Report } from "../report.ts"

export async function realtime(): Promise<Report> {
  return {
    method: "From the commit of a change to the socket of somebody who looks, on one machine at low load.",
    rows: [{ what: "realtime: commit to socket, p50", bar: "≤ 20 ms", figure: "not built yet", verdict: "none" }],
  }
}
