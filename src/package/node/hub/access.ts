/** How a hub is reached: its address, the user's token, and what tests put in place of the network. */
import { setTimeout as sleep } from 'node:timers/promises';
import { IsthmusError } from '../../../errors.ts';

export const DEFAULT_HUB = 'https://huggingface.co';

/** A link that gives no byte for so long is dead; slow hubs answer within a few seconds. */
const STALL_MS = 30_000;

export interface HubOptions {
  /** Where the hub is. Default `https://huggingface.co`. */
  readonly hub?: string;
  /** Sent to the hub itself and never to where it redirects. */
  readonly token?: string;
  readonly fetch?: typeof fetch;
  /** Ms without a byte after which a connection counts as lost. Default 30,000. */
  readonly stallMs?: number;
  /** Default: a timer. */
  readonly wait?: (ms: number) => Promise<unknown>;
  readonly signal?: AbortSignal;
  /** For a person: what is waited for, and what is tried again. */
  readonly onNotice?: (text: string) => void;
}

export interface HubAccess {
  /** Without a slash at its end. */
  readonly hub: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch;
  readonly stallMs: number;
  readonly wait: (ms: number) => Promise<unknown>;
  readonly signal: AbortSignal | undefined;
  readonly notice: (text: string) => void;
}

/** @throws IsthmusError `bad-option` for an address that is no http(s) URL, or a token of several lines */
export function hubAccess(options: HubOptions = {}): HubAccess {
  const { token, signal } = options;
  // A line break would end the header that the token stands in.
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new IsthmusError('bad-option', "the hub's token holds characters that no token has");
  }
  return {
    hub: checkedHub(options.hub ?? DEFAULT_HUB),
    token,
    signal,
    fetch: options.fetch ?? fetch,
    stallMs: options.stallMs ?? STALL_MS,
    wait: options.wait ?? ((ms) => sleep(ms, undefined, signal === undefined ? {} : { signal })),
    notice: options.onNotice ?? (() => undefined),
  };
}

function checkedHub(text: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Said below.
  }
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    throw new IsthmusError('bad-option', `'${text}' is no address of a hub`, {
      details: { hint: `give one like ${DEFAULT_HUB}` },
    });
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}
