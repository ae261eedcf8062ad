/**
 * A look at the link beside a request that runs on the device alone: who asks without end leaves no quiet for a probe,
 * and a link that became better would not be noticed. Its bytes may cost the user money, so they are few, fewer the
 * slower the link is believed to be, and rarer when the last told nothing new. Pure, immutable.
 */
import { estimateLink, type LinkObservation, type LinkState, unseenMs } from './estimator.ts';
import { MAX_PROBE_TRANSFER_BYTES, observeAll, probeBytes } from './probe.ts';

/** Unseen for less, a link is still what it was; a glance in vain doubles it. 30 s throughout found a better link later, 10 s no sooner. */
export const GLANCE_AFTER_MS = 15_000;

/**
 * The same in requests, for who asks without a pause: ten of them may be over in two seconds. Not sooner than this, though: a
 * device whose cores are all at work is held up by what passes its network.
 */
export const GLANCE_AFTER_REQUESTS = 5;
export const GLANCE_GAP_MS = 3_000;

/** Glances in vain after which the wait no longer grows; the bytes of a minute are bounded besides. */
const MAX_DOUBLINGS = 1;

/** All that glances may send within a minute, and once more where a link became another: 2% of what 0.75 Mbit/s carry. */
export const MAX_GLANCE_BYTES_PER_MINUTE = 2 * MAX_PROBE_TRANSFER_BYTES;

const MINUTE_MS = 60_000;

/** What is off by this factor is news; trips over the same link differ by some 10%. */
const NEWS = 1.5;

export interface Glances {
  /** Of the last minute. */
  readonly spent: readonly { readonly at: number; readonly bytes: number }[];
  /** In a row that told nothing new. */
  readonly inVain: number;
}

export const NO_GLANCES: Glances = { spent: [], inVain: 0 };

/** An empty ping costs some 60 bytes: it may look for another link sooner, and at last as rarely as a glance. */
export const PING_AFTER_MS = 3_000;
const MAX_PING_DOUBLINGS = 3;

/**
 * The same in requests; 60 bytes for every sixth are not worth saving. A ping beside a request that runs on both of two
 * cores makes it late by 14 ms (browser, line and endpoint on these cores), so that there is a least time between two.
 */
export const PING_AFTER_REQUESTS = 3;
export const PING_GAP_MS = 500;
const MAX_PING_REQUESTS_DOUBLINGS = 1;

/** From a phone's network to a wire: times and rates differ by so much, and by more than a glance hopes for. */
export const OTHER_LINK_GAIN = 100;

export interface Pings {
  /** When the latest was sent. */
  readonly at: number;
  /** In a row that found the wait as long as before, or longer. */
  readonly inVain: number;
}

export const NO_PINGS: Pings = { at: -Infinity, inVain: 0 };

/**
 * Whether to ask, by an empty ping, if this is another link than the one that is believed in.
 * @param requests since anything passed the link
 */
export function isPingDue(link: LinkState, { at, inVain }: Pings, now: number, requests = 0): boolean {
  const afterMs = PING_AFTER_MS * 2 ** Math.min(MAX_PING_DOUBLINGS, inVain);
  const times = 2 ** Math.min(MAX_PING_REQUESTS_DOUBLINGS, inVain);
  const isGap = unseenMs(link, now) >= PING_GAP_MS * times && Math.abs(now - at) >= PING_GAP_MS * times;
  if (requests >= PING_AFTER_REQUESTS * times && isGap) return true;
  return unseenMs(link, now) >= PING_AFTER_MS && Math.abs(now - at) >= afterMs;
}

/** Transfers up of which a rate is more than a guess from the opening. */
const FEW_TRANSFERS = 3;

export function isRateGuessed({ up }: LinkState): boolean {
  return up.length < FEW_TRANSFERS;
}

/**
 * Bytes that such a ping takes along: where the rate is believed to be so low that few of them take a while, they tell
 * one that is another. A line whose round trip stayed as it was shows in nothing else.
 */
export const MAX_PING_BYTES = 4096;
const PING_TRANSFER_MS = 20;

export function pingBytes(link: LinkState, now: number, maxBytesUp: number): number {
  const bytes = Math.ceil((estimateLink(link, now).upBytesPerSecond * PING_TRANSFER_MS) / 1000);
  return bytes <= Math.min(MAX_PING_BYTES, maxBytesUp) ? bytes : 0;
}

/** Whether what a ping told is so short a wait that it is another link than was believed. */
export function isOtherLink(link: LinkState, seen: readonly LinkObservation[], now: number): boolean {
  const believedMs = believedOf(link, now);
  return seen.some((one) => one.ms * NEWS < believedMs(one));
}

/** Bytes of one transfer of the glance that may begin now, or `undefined`. News costs as many once more. */
export function planGlance(
  link: LinkState,
  { spent, inVain }: Glances,
  {
    now,
    maxBytesUp,
    isOther = false,
    requests = 0,
  }: {
    readonly now: number;
    readonly maxBytesUp: number;
    /** What was seen so far was another link. */
    readonly isOther?: boolean;
    /** Since the link was last looked at, or used. */
    readonly requests?: number;
  },
): number | undefined {
  const times = 2 ** Math.min(MAX_DOUBLINGS, inVain);
  const sinceMs = Math.abs(now - (spent.at(-1)?.at ?? -Infinity));
  const isRun = requests >= GLANCE_AFTER_REQUESTS * times && sinceMs >= GLANCE_GAP_MS * times;
  const isDue = isRun || unseenMs(link, now) >= GLANCE_AFTER_MS * times;
  if (!isOther && !isDue) return undefined;
  const bytes = probeBytes(estimateLink(link, now).upBytesPerSecond);
  const before = recent(spent, now).reduce((sum, one) => sum + one.bytes, 0);
  // A ping has told that it is another link, whose rate nothing else will: what was spent on the old one is forgiven once.
  const most = isOther ? 2 * MAX_GLANCE_BYTES_PER_MINUTE : MAX_GLANCE_BYTES_PER_MINUTE;
  if (2 * bytes > maxBytesUp || before + 2 * bytes > most) return undefined;
  return bytes;
}

/** The state after a glance that sent so many bytes. */
export function noteGlance(
  { spent, inVain }: Glances,
  { now, bytes, isNews }: { readonly now: number; readonly bytes: number; readonly isNews: boolean },
): Glances {
  return { spent: [...recent(spent, now), { at: now, bytes }], inVain: isNews ? 0 : inVain + 1 };
}

/**
 * Whether any of what a ping and a transfer told is far from what was believed of the link. Then both are sent once more:
 * two that agree are believed.
 */
export function isNews(link: LinkState, seen: readonly LinkObservation[], now: number): boolean {
  const believedMs = believedOf(link, now);
  return seen.some((one) => one.ms * NEWS < believedMs(one) || one.ms > NEWS * believedMs(one));
}

/** What a ping, or a transfer up, was expected to take. */
function believedOf(link: LinkState, now: number): (one: LinkObservation) => number {
  const { rttMs, upBytesPerSecond } = estimateLink(link, now);
  return (one) => rttMs + (one.kind === 'rtt' ? 0 : (1000 * one.bytes) / upBytesPerSecond);
}

/**
 * `link` after a glance. Where both transfers were news the rate begins anew: who sees the link so rarely would believe
 * the median of long ago until the request that a better plan was for is over.
 */
export function afterGlance(link: LinkState, seen: readonly LinkObservation[], now: number): LinkState {
  const transfers = seen.filter(({ kind }) => kind === 'transfer');
  const known = observeAll(
    link,
    seen.filter(({ kind }) => kind === 'rtt'),
    now,
  );
  const isNew = transfers.length > 1 && transfers.every((one) => isNews(link, [one], now));
  const { up: _, ...ahead } = known.ahead;
  return observeAll(isNew ? { ...known, up: [], ahead } : known, transfers, now);
}

function recent(spent: Glances['spent'], now: number): Glances['spent'] {
  // A clock that was set back makes nothing recent for ever.
  return spent.filter(({ at }) => Math.abs(now - at) < MINUTE_MS);
}
