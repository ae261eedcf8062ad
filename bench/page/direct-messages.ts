/** What passes between the page and the worker that runs the original files. */

export interface DirectOpen {
  readonly encoderUrl: string;
  readonly decoderUrl: string;
  readonly threads: number;
  readonly bosToken: number;
  readonly eosToken: number;
}

export type DirectRequest =
  | ({ readonly type: 'open' } & DirectOpen)
  | { readonly type: 'run'; readonly samples: Float32Array; readonly maxTokens: number };

export interface DirectResult {
  readonly tokens: readonly number[];
  /** Ms inside the runtime's `run`, as the worker saw them. */
  readonly encoderMs: number;
  readonly decoderMs: number;
}

export type DirectReply =
  | { readonly type: 'opened'; readonly threads: number }
  | ({ readonly type: 'result' } & DirectResult)
  | { readonly type: 'failed'; readonly message: string };
