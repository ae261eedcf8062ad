/**
 * One error class for the whole library. A failure is told apart by its stable `code`, never by its
 * message or its prototype: errors cross a worker and a network, and both drop prototypes.
 */

/** Every code, with what it means and what to do. README's table and the tests are held to this list. */
export const ERROR_CODES = {
  aborted: 'The caller aborted the work through its AbortSignal.',
  'bad-option': 'An option or command-line flag is missing, unknown or out of range.',
  'bad-input': 'The input (audio, tensor, text) is not what the task takes.',
  'input-too-long': 'The input is longer than a stated bound; shorten or split it.',
  'bad-model': 'The ONNX file is truncated, foreign or inconsistent.',
  'unsupported-model': 'The model is valid but uses something that cannot be packaged or run.',
  'bad-package': 'The package manifest is missing, malformed or of another version; import the model again.',
  'bad-shard': 'A weight shard does not match its hash or length; fetch or import it again.',
  'missing-shard': 'A file that the package names is not there.',
  'bad-frame': 'Bytes on the wire do not follow the protocol.',
  'bad-tensor': 'A tensor has the wrong name, dtype, shape or byte length.',
  'limit-exceeded': 'A named bound (frame, header, sessions, tokens) was exceeded.',
  'unknown-model': 'The endpoint does not serve a model of that name.',
  'unknown-session': 'The endpoint has no such session: it ended, timed out or the endpoint restarted.',
  'wrong-version': 'The two ends speak different protocol versions; update the older one.',
  'endpoint-lost': 'The endpoint cannot be reached or the link broke; retry when it is back.',
  'endpoint-failed': 'The endpoint answered that it failed inside.',
  'endpoint-stopping': 'The endpoint is shutting down and takes no new work.',
  'weights-missing':
    'The endpoint cannot be reached and the weights needed to go on here are not on this device.',
  'worker-lost': 'The worker that runs the model crashed or was ended.',
  'no-provider': 'No execution provider works on this device.',
  'run-failed': 'The runtime failed to build or run a span.',
  'storage-failed': 'The persistent store failed; the in-memory store is used instead where possible.',
  'no-plan': 'No plan satisfies the options; `details.rejected` says which limit ruled out each.',
  closed: 'The session, runner or store was closed.',
  internal: 'A defect of this library; please report it.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Small JSON values that say what failed: names, limits, counts. Never user content. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** How an error travels over a worker or network boundary. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: ErrorDetails;
}

export class IsthmusError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly details?: ErrorDetails; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'IsthmusError';
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** True for our errors from any realm or copy of the library: rests on the shape, not on `instanceof`. */
export function isIsthmusError(value: unknown): value is IsthmusError {
  return (
    value instanceof Error && value.name === 'IsthmusError' && 'code' in value && isErrorCode(value.code)
  );
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}

/** Anything can be thrown, also what cannot be turned into text. */
function textOf(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? 'something that is no error was thrown'
    : String(value);
}

/** Anything thrown, as one of ours: unknown failures get `fallback`, aborts get `aborted`. */
export function toIsthmusError(value: unknown, fallback: ErrorCode = 'internal'): IsthmusError {
  if (isIsthmusError(value)) return value;
  if (value instanceof Error && value.name === 'AbortError') {
    return new IsthmusError('aborted', value.message, { cause: value });
  }
  const message = value instanceof Error ? value.message : textOf(value);
  return new IsthmusError(fallback, message, { cause: value });
}

export function toWireError(value: unknown, fallback: ErrorCode = 'internal'): WireError {
  const { code, message, details } = toIsthmusError(value, fallback);
  return Object.keys(details).length === 0 ? { code, message } : { code, message, details };
}

/** Rebuilds an error from the other side; a foreign shape becomes `fallback`, never a throw. */
export function fromWireError(value: unknown, fallback: ErrorCode = 'internal'): IsthmusError {
  if (typeof value !== 'object' || value === null) {
    return new IsthmusError(fallback, `malformed error from the other side: ${String(value)}`);
  }
  const wire = value as Partial<Record<keyof WireError, unknown>>;
  const message = typeof wire.message === 'string' ? wire.message : 'no message given';
  const details =
    typeof wire.details === 'object' && wire.details !== null ? (wire.details as ErrorDetails) : {};
  return new IsthmusError(isErrorCode(wire.code) ? wire.code : fallback, message, { details });
}

/** Throws `aborted` when the signal has fired; call it between steps of long work. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new IsthmusError('aborted', 'the work was aborted', { cause: signal.reason });
}
