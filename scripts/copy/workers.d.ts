/// <reference types="../../worker-configuration.d.ts" />
// src/db is written against what workerd has, scripts are checked against Node and the DOM; this is what neither has.

interface SubtleCrypto {
  timingSafeEqual(a: ArrayBuffer | ArrayBufferView, b: ArrayBuffer | ArrayBufferView): boolean
}
