/** Who takes part in the text suite, and what is promised of Isthmus beside them. */

const PLAIN_ORT = {
  ortMjsUrl: 'rivals/ort/ort-wasm-simd-threaded.mjs',
  ortWasmUrl: 'rivals/ort/ort-wasm-simd-threaded.wasm',
};

/** `plain` is transformers.js with the runtime's build that knows no WebGPU, set by hand. */
export const CONTENDERS = {
  isthmus: { title: 'Isthmus', opener: 'isthmus' },
  wllama: { title: 'wllama', opener: 'wllama' },
  transformers: { title: 'transformers.js', opener: 'transformers' },
  plain: { title: 't.js plain', opener: 'transformers', files: PLAIN_ORT },
};

export const NAMES = Object.keys(CONTENDERS);
export const RIVALS = NAMES.filter((name) => name !== 'isthmus');

/** At least this many times the rival's tokens/s. */
export const TARGETS = { wllama: 3, transformers: 1 };
