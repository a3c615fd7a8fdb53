/** The part of cli-progress that is used here; the package brings no types. */
declare module "cli-progress" {
  type Options = { format?: string; barsize?: number; hideCursor?: boolean; stream?: NodeJS.WritableStream }
  type Payload = Record<string, string>
  export class SingleBar {
    constructor(options: Options, preset?: object)
    start(total: number, startValue: number, payload?: Payload): void
    increment(step: number, payload?: Payload): void
    update(payload: Payload): void
    stop(): void
  }
  const cliProgress: { SingleBar: typeof SingleBar; Presets: { shades_classic: object } }
  export default cliProgress
}
