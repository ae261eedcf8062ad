/** Errors in the form of the Open Inference Protocol: `error` is the message, `parameters` carry the rest. */
import type { ErrorCode, ErrorDetails, WireError } from '../errors.ts';
import { isErrorCode } from '../errors.ts';
import { type JsonObject, objectField, textField } from './json.ts';
import { MAX_ERROR_DETAILS_LENGTH, MAX_ERROR_MESSAGE_LENGTH } from './limits.ts';

/** An error must be able to travel: a long message is cut, details that are large or not JSON are dropped. */
export function writeError({ code, message, details }: WireError): {
  readonly error: string;
  readonly parameters: JsonObject;
} {
  const error = message.slice(0, MAX_ERROR_MESSAGE_LENGTH) || 'no message given';
  const small = details === undefined ? undefined : smallDetails(details);
  return { error, parameters: { code, ...(small && { details: small }) } };
}

function smallDetails(details: ErrorDetails): ErrorDetails | undefined {
  try {
    const text = JSON.stringify(details);
    return text.length > MAX_ERROR_DETAILS_LENGTH ? undefined : objectField(JSON.parse(text), 'details');
  } catch {
    return undefined;
  }
}

/**
 * A code that is not known here, from a later version or another server, becomes `fallback`. Throws
 * `bad-frame` or `limit-exceeded`.
 */
export function readError(header: JsonObject, parameters: JsonObject, fallback: ErrorCode): WireError {
  const message = textField(header.error, 'message of an error', MAX_ERROR_MESSAGE_LENGTH);
  const code = isErrorCode(parameters.code) ? parameters.code : fallback;
  if (parameters.details === undefined) return { code, message };
  return { code, message, details: objectField(parameters.details, 'details of an error') };
}
