// Stands before a built Worker, and takes the Cache API away: as on workers.dev, where it keeps nothing; its log goes nowhere. Plain
// JavaScript: the runtime loads this file as it is.
Cache.prototype.match = () => Promise.resolve(undefined)
Cache.prototype.put = () => Promise.resolve()
Cache.prototype.delete = () => Promise.resolve(false)
console.log = () => undefined

// biome-ignore lint/performance/noBarrelFile: Durable Objects are looked for in the first module.
export * from "./worker.js"
export { default } from "./worker.js"
