/** What a hub's refusals mean to the user, as errors of ours. */
import { IsthmusError } from '../../../errors.ts';
import type { HubAccess } from './access.ts';

/** Why a connection ended without a whole answer; told apart so that it can be tried again. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

const TOKEN_HINT = 'give a token that may read it with --token or HF_TOKEN';

/** What was asked for, in words, e.g. `org/name (revision main)`. */
export function statusError(access: HubAccess, what: string, status: number, headers: Headers): IsthmusError {
  const code = headers.get('x-error-code') ?? '';
  const details = { status, hub: access.hub, ...(code === '' ? {} : { hubCode: code }) };
  const fail = (message: string, hint: string): IsthmusError =>
    new IsthmusError('bad-option', message, { details: { ...details, hint } });
  if (code === 'GatedRepo' || (status === 403 && code === '')) {
    return fail(
      `${what} is gated: its owner gives access to those who ask`,
      access.token === undefined
        ? `accept its conditions on ${access.hub}, then ${TOKEN_HINT}`
        : `accept its conditions on ${access.hub} with the account of this token`,
    );
  }
  if (status === 401 || status === 403) {
    // The hub hides whether a private repository exists.
    return access.token === undefined
      ? fail(`${what} does not exist or is private`, `check the name, or ${TOKEN_HINT}`)
      : fail(`the hub refused the token for ${what}`, 'check the name, and that the token is still good');
  }
  if (status === 404) return fail(`the hub has no ${what}`, 'check the name');
  if (status === 429) {
    return new IsthmusError('endpoint-failed', `the hub asks for fewer requests (${what})`, {
      details: {
        ...details,
        hint: 'try again later; with a token the limits are higher (--token or HF_TOKEN)',
      },
    });
  }
  return new IsthmusError('endpoint-failed', `the hub answered ${status} for ${what}`, {
    details: { ...details, hint: 'try again later; what was downloaded is kept' },
  });
}

export function unreachable(access: HubAccess, what: string, cause: unknown): IsthmusError {
  const why = cause instanceof LinkError ? cause.message : 'the connection failed';
  return new IsthmusError('endpoint-lost', `the hub at ${access.hub} did not give ${what}: ${why}`, {
    details: {
      hub: access.hub,
      hint: 'check the network or --hub, then try again: what was downloaded is kept',
    },
    cause,
  });
}

export function strangeAnswer(access: HubAccess, what: string, why: string): IsthmusError {
  return new IsthmusError('endpoint-failed', `the hub's answer for ${what} makes no sense: ${why}`, {
    details: { hub: access.hub, hint: 'is --hub (or HF_ENDPOINT) the address of a model hub?' },
  });
}
