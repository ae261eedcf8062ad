/**
 * Errors of the one-shot HTTP interface. The body is the protocol's `{"error": message}`, so any client
 * understands it; `parameters` adds the code and details for ours. Other servers' errors are told apart
 * by their status.
 */
import type { ErrorCode } from '../errors.ts';
import { IsthmusError, toWireError } from '../errors.ts';
import { readError, writeError } from './error-fields.ts';
import { optionalObject, parseJsonObject } from './json.ts';

/** What is the caller's fault or a passing state; every other code is 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  'bad-option': 400,
  'bad-input': 400,
  'bad-frame': 400,
  'bad-tensor': 400,
  'wrong-version': 400,
  'unknown-model': 404,
  'unknown-session': 404,
  'input-too-long': 413,
  'limit-exceeded': 413,
  'endpoint-stopping': 503,
};

export function statusOf(code: ErrorCode): number {
  return STATUS[code] ?? 500;
}

/** JSON text of the body. */
export function errorBody(error: unknown): string {
  return JSON.stringify(writeError(toWireError(error, 'endpoint-failed')));
}

/** The failure that a status other than 2xx and its body speak of; never throws. */
export function errorOfResponse(status: number, body: Uint8Array): IsthmusError {
  const fallback = codeOf(status);
  try {
    const header = parseJsonObject(body, 'the body');
    const parameters = optionalObject(header.parameters, 'the parameters of an error');
    const { code, message, details } = readError(header, parameters, fallback);
    return new IsthmusError(code, message, { details: { ...details, status } });
  } catch {
    // Not an error of the protocol but, say, a proxy's page: its status says enough.
    return new IsthmusError(fallback, `the endpoint answered with HTTP status ${status}`, {
      details: { status },
    });
  }
}

function codeOf(status: number): ErrorCode {
  if (status === 404) return 'unknown-model';
  if (status === 413 || status === 429) return 'limit-exceeded';
  // A gateway in front of an endpoint that is not there, or of one that is starting.
  if (status === 502 || status === 503 || status === 504) return 'endpoint-lost';
  if (status >= 400 && status < 500) return 'bad-input';
  return 'endpoint-failed';
}
