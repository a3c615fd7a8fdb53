import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { type Assumptions, defaults, listed } from "./assumptions.ts"
import { datedAs } from "./prices.ts"

export type Options = {
  users: number[]
  requestsPerUser: number
  assumptions: Assumptions
  counted: string
  as: "text" | "markdown" | "json"
}

/** Thrown for what the caller has to put right. */
export class BadArguments extends Error {
  override name = "BadArguments"
}

const countedFile = join(import.meta.dirname, "../counted.json")
const loads = { users: "1000,100000,10000000", "requests-per-user": "40" }

const optionLines = listed.map(
  ([, { option, value, why }]) => `  --${option.padEnd(22)} ${String(value).padStart(5)}  ${why}`,
)

export const help = `What a deployment costs a month and which limit it meets first: modelled, from counted operations and list prices.

  npm run cost -- --users 1000000 --requests-per-user 40
  npm run cost -- --users 1000,100000,10000000

  --users                People or programs that use it every day; several, separated by commas, are put side by side
  --requests-per-user    Requests of the reference mix (bench/mix.ts) that each sends a day, ${loads["requests-per-user"]} when omitted
  --markdown             The table of several sizes as docs/scaling.md has it
  --json                 Everything, for programs
  --counted FILE         What was counted, bench/counted.json when omitted

A month has 30 days; prices are those of ${datedAs}. Three architectures are priced: D1 (one database), sharded D1
(several, with the workspaces spread over them: not built) and Postgres through Hyperdrive, each with the embedded limiter
and with Upstash. Not priced: mail, and what comes from outside the mix but refreshes and sign-ins.

What is not counted is assumed, and can be given:
${optionLines.join("\n")}

Exit status: 0 priced, 2 wrong arguments, or nothing that was counted.`

/** Null when only the help was asked for. */
export function readArguments(args: string[]): Options | null {
  const values = parse(args)
  if (values["help"]) return null
  const text = (option: string) => String(values[option])
  if (values["json"] && values["markdown"]) throw new BadArguments("--json and --markdown exclude each other")
  return {
    users: text("users")
      .split(",")
      .map((users) => numberOf("users", users, { min: 1, max: 1e9, isWhole: true })),
    requestsPerUser: numberOf("requests-per-user", text("requests-per-user"), { min: 0.001, max: 1e6 }),
    assumptions: {
      ...defaults,
      ...Object.fromEntries(
        listed.flatMap(([name, assumption]) =>
          values[assumption.option] === undefined
            ? []
            : [[name, numberOf(assumption.option, text(assumption.option), assumption)]],
        ),
      ),
    },
    // npm runs this in the package's directory; a path is meant from where npm was called.
    counted: values["counted"] ? resolve(process.env["INIT_CWD"] ?? ".", text("counted")) : countedFile,
    as: values["json"] ? "json" : values["markdown"] ? "markdown" : "text",
  }
}

type Bounds = { min: number; max?: number; isWhole?: boolean }

function numberOf(option: string, text: string, { min, max = 1e12, isWhole = false }: Bounds): number {
  const value = /^\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN
  if (value >= min && value <= max && (!isWhole || Number.isInteger(value))) return value
  const bounds = max === 1e12 ? `of ${min} or more` : `between ${min} and ${max}`
  throw new BadArguments(
    `--${option} takes a ${isWhole ? "whole " : ""}number ${bounds}, not ${text.trim() || "nothing"}`,
  )
}

function parse(args: string[]): Record<string, string | boolean | undefined> {
  const string = { type: "string" } as const
  const flag = { type: "boolean" } as const
  try {
    return parseArgs({
      args,
      options: {
        users: { ...string, default: loads.users },
        "requests-per-user": { ...string, default: loads["requests-per-user"] },
        ...Object.fromEntries(listed.map(([, { option }]) => [option, string])),
        counted: string,
        markdown: flag,
        json: flag,
        help: { ...flag, short: "h" },
      },
    }).values as Record<string, string | boolean | undefined>
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new BadArguments(`${error.message}. --help tells what there is`)
  }
}
