/** Asking the worker for something, as the parts that live on this side of it see it. */
import type { LoopOptions } from '../../runtime/lane.ts';
import type { LoadOptions } from '../../runtime/runner.ts';
import type { CallName, Calls } from './messages.ts';

/** What the worker says of a call before it answers, and how to end it. */
export interface CallOptions {
  readonly transfer?: readonly ArrayBuffer[];
  readonly onProgress?: LoadOptions['onProgress'];
  readonly onPass?: LoopOptions['onPass'];
  readonly signal?: AbortSignal | undefined;
}

export type CallWorker = <Name extends CallName>(
  name: Name,
  argument: Calls[Name]['takes'],
  options?: CallOptions,
) => Promise<Calls[Name]['yields']>;
