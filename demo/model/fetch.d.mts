/** Types of `fetch.mjs` for TypeScript callers; the .mjs runs before any build, so it cannot be .ts. */
export type ModelName = 'moonshine-tiny-q8' | 'moonshine-tiny-fp32';

export interface FetchedModel {
  readonly name: ModelName;
  /** Absolute paths. */
  readonly encoder: string;
  readonly decoder: string;
  readonly tokenizer: string;
  readonly generation: {
    readonly bosToken: number;
    readonly eosToken: number;
    readonly vocabulary: number;
  };
  readonly audio: { readonly sampleRate: number; readonly maxTokensPerSecond: number };
}

export declare const MODEL_CACHE: string;

/** Whether the file at `path` is there, with the pinned length and SHA-256. */
export declare function matches(
  path: string,
  file: { readonly bytes: number; readonly sha256: string },
): Promise<boolean>;

export declare function fetchModel(
  name: ModelName,
  options?: { readonly log?: (line: string) => void },
): Promise<FetchedModel>;
