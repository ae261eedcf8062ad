/** What the text bench calls inside the page: one contender lives in each page. */
import type { Contender, Prompt, TextAnswer, TextOpen } from './text-contender.ts';
import { openIsthmus } from './text-isthmus.ts';
import { openTransformers } from './text-transformers.ts';
import { openWllama } from './text-wllama.ts';

const OPENERS = { isthmus: openIsthmus, wllama: openWllama, transformers: openTransformers };

export type ContenderName = keyof typeof OPENERS;

let contender: Contender | undefined;

const api = {
  isolated: (): boolean => globalThis.crossOriginIsolated,

  async open(name: ContenderName, options: TextOpen): Promise<void> {
    const absolute = (url: string): string => new URL(url, document.baseURI).href;
    contender = await OPENERS[name]({
      ...options,
      packageUrl: absolute(options.packageUrl),
      ggufUrl: absolute(options.ggufUrl),
      modelsUrl: absolute(options.modelsUrl),
      wllamaWasmUrl: absolute(options.wllamaWasmUrl),
      ortMjsUrl: absolute(options.ortMjsUrl),
      ortWasmUrl: absolute(options.ortWasmUrl),
    });
  },

  async run(prompt: Prompt, maxTokens: number): Promise<TextAnswer> {
    if (contender === undefined) throw new Error('not open');
    return contender.run(prompt, maxTokens);
  },

  /** Bytes of this page and its workers, WASM heaps among them, as the browser counts them. */
  memory: async (): Promise<number> => (await performance.measureUserAgentSpecificMemory()).bytes,
};

export type TextBenchApi = typeof api;

declare global {
  interface Performance {
    /** Chromium's; asks for cross-origin isolation. */
    measureUserAgentSpecificMemory(): Promise<{ readonly bytes: number }>;
  }

  // `var` is what makes a property of the global object.
  var textBench: TextBenchApi;
}

globalThis.textBench = api;
