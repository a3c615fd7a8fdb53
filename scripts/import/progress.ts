import cliProgress from "cli-progress"

/** Tells how far a command is. */
export type Progress = {
  /** `label`: what it is at. */
  advance(count: number, label: string): void
  /** Something worth knowing while it lasts, such as a wait. */
  note(text: string): void
  stop(): void
}

export const number = (value: number): string => value.toLocaleString("en")

/** `unit`: what is counted, in words that follow a number. */
export const openProgress = (total: number, unit: string): Progress =>
  process.stdout.isTTY ? showBar(total, unit) : printLines(total, unit)

function showBar(total: number, unit: string): Progress {
  const bar = new cliProgress.SingleBar(
    {
      format: `{bar} {percentage}%  {value} of {total} ${unit}  {label}`,
      barsize: 30,
      hideCursor: true,
      stream: process.stdout,
    },
    cliProgress.Presets.shades_classic,
  )
  bar.start(total, 0, { label: "" })
  return {
    advance: (count, label) => bar.increment(count, { label }),
    note: (text) => bar.update({ label: text }),
    stop: () => bar.stop(),
  }
}

/** A line for each tenth, for logs and pipes. */
function printLines(total: number, unit: string): Progress {
  let done = 0
  const tenths = () => Math.floor((done * 10) / total)
  return {
    advance(count) {
      const before = tenths()
      done += count
      if (tenths() > before) console.log(`${number(done)} of ${number(total)} ${unit}`)
    },
    note: (text) => console.log(text),
    stop: () => undefined,
  }
}
