/** Steps over states, as data, so that the same ones run on every kind of store. */
export type Step =
  | { readonly do: 'open'; readonly state: string }
  | {
      readonly do: 'run';
      readonly state: string;
      readonly position: number;
      readonly values: readonly number[];
    }
  | { readonly do: 'read'; readonly state: string; readonly from: number; readonly to: number }
  /** Puts what the last `read` gave. */
  | { readonly do: 'write'; readonly state: string; readonly from: number }
  | { readonly do: 'close'; readonly state: string };

/** One line per step: bytes in hex, or `CODE: message`. */
export type Trace = readonly string[];

export interface Outcome {
  readonly resident: Trace;
  readonly public: Trace;
  /** After each step of the resident script: tensors and bytes in the heap. */
  readonly held: readonly { readonly tensors: number; readonly bytes: number }[];
  readonly heapBytes: readonly [number, number];
}
