import cliProgress from "cli-progress"

/** Tells how far the import is. */
export type Progress = {
  advance(tasks: number, project: string): void
  /** Something worth knowing while it lasts, such as a wait. */
  note(text: string): void
  stop(): void
}

export const number = (value: number): string => value.toLocaleString("en")

export const openProgress = (total: number): Progress => (process.stdout.isTTY ? showBar(total) : printLines(total))

function showBar(total: number): Progress {
  const bar = new cliProgress.SingleBar(
    {
      format: "{bar} {percentage}%  {value} of {total} tasks  {label}",
      barsize: 30,
      hideCursor: true,
      stream: process.stdout,
    },
    cliProgress.Presets.shades_classic,
  )
  bar.start(total, 0, { label: "" })
  return {
    advance: (tasks, project) => bar.increment(tasks, { label: project }),
    note: (text) => bar.update({ label: text }),
    stop: () => bar.stop(),
  }
}

/** A line for each tenth, for logs and pipes. */
function printLines(total: number): Progress {
  let done = 0
  const tenths = () => Math.floor((done * 10) / total)
  return {
    advance(tasks) {
      const before = tenths()
      done += tasks
      if (tenths() > before) console.log(`${number(done)} of ${number(total)} tasks`)
    },
    note: (text) => console.log(text),
    stop: () => undefined,
  }
}
