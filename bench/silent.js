// Stands before the built Worker, and lets its log go nowhere: the local runtime hands each line to the process that
// measures, which takes longer than to write the line and has no part in a deployment. Plain JavaScript: the runtime
// loads this file as it is.
console.log = () => undefined

// biome-ignore lint/performance/noBarrelFile: Durable Objects are looked for in the first module.
export * from "./worker.js"
export { default } from "./worker.js"
