/**
 * Looking at an idle link: when, and with how many bytes. Real traffic is measured for free, so a
 * probe is sent only when nothing else runs and what is known has faded; its bytes are bounded
 * because they may cost the user money.
 */
import {
  type Direction,
  estimateLink,
  type LinkObservation,
  type LinkState,
  linkConfidence,
  observeLink,
} from './estimator.ts';

export interface Probe {
  /** Bytes to send as padding; 0 to leave the uplink alone. */
  readonly upBytes: number;
  /** Bytes to ask for; 0 to leave the downlink alone. */
  readonly downBytes: number;
}

/** Sends `padding` up, asks for `replyBytes` back and resolves with the ms until they were there. */
export type Ping = (replyBytes: number, padding: Uint8Array) => Promise<number>;

/** Below this a part is worth a probe: less than one full sample, or four minutes without any. */
export const PROBE_BELOW_CONFIDENCE = 0.3;

/** Before the first probe after a request; each later one waits twice as long as the one before. */
export const PROBE_INTERVAL_MS = 15_000;

/** A page left open falls silent after 16 minutes and, with the bound below, 768 KiB. */
export const MAX_IDLE_PROBES = 6;

/** Each way: 100 ms at 5 Mbit/s; a faster link is told apart from it by one real transfer. */
export const MAX_PROBE_TRANSFER_BYTES = 64 * 1024;

/** Twice TCP's initial window: below that a transfer shows no bandwidth. */
export const MIN_PROBE_TRANSFER_BYTES = 16 * 1024;

/** Long enough to stand out from jitter at the believed rate. */
const PROBE_TRANSFER_MS = 100;

/** How quiet it is. */
export interface Idleness {
  /** Ms since the last request ended or the last probe was sent, whichever is later. */
  readonly quietMs: number;
  /** Probes sent since the last request. */
  readonly probes: number;
}

/** The probe to send now, or `undefined`. Ask only while no request is under way. */
export function planProbe(state: LinkState, idleness: Idleness, now: number): Probe | undefined {
  const { quietMs, probes } = idleness;
  if (probes >= MAX_IDLE_PROBES || !(quietMs >= PROBE_INTERVAL_MS * 2 ** probes)) return undefined;
  const confidence = linkConfidence(state, now);
  const estimate = estimateLink(state, now);
  const bytesFor = (direction: Direction, bytesPerSecond: number) => {
    if (confidence[direction] >= PROBE_BELOW_CONFIDENCE) return 0;
    return probeBytes(bytesPerSecond);
  };
  const upBytes = bytesFor('up', estimate.upBytesPerSecond);
  const downBytes = bytesFor('down', estimate.downBytesPerSecond);
  const known = upBytes === 0 && downBytes === 0 && confidence.rtt >= PROBE_BELOW_CONFIDENCE;
  return known ? undefined : { upBytes, downBytes };
}

/** Bytes of one transfer that tell a rate which is believed to be so high. */
export function probeBytes(bytesPerSecond: number): number {
  const wanted = Math.round((bytesPerSecond * PROBE_TRANSFER_MS) / 1000);
  return Math.min(MAX_PROBE_TRANSFER_BYTES, Math.max(MIN_PROBE_TRANSFER_BYTES, wanted));
}

interface ProbePing {
  readonly upBytes: number;
  readonly downBytes: number;
  /** What its time tells of the link. */
  readonly seen: (ms: number) => LinkObservation;
}

/** An empty ping for the round trip, then each direction by itself. */
export function pingsOf({ upBytes, downBytes }: Probe): readonly ProbePing[] {
  const transfer =
    (direction: Direction, bytes: number): ProbePing['seen'] =>
    (ms) => ({ kind: 'transfer', direction, bytes, ms });
  return [
    { upBytes: 0, downBytes: 0, seen: (ms) => ({ kind: 'rtt', ms }) },
    ...(upBytes > 0 ? [{ upBytes, downBytes: 0, seen: transfer('up', upBytes) }] : []),
    ...(downBytes > 0 ? [{ upBytes: 0, downBytes, seen: transfer('down', downBytes) }] : []),
  ];
}

/**
 * Sends a planned probe: an empty ping for the round trip, then each direction by itself. Returns
 * what was seen, to be fed to `observeLink`; a ping that fails rejects.
 */
export async function sendProbe(probe: Probe, ping: Ping): Promise<readonly LinkObservation[]> {
  const observations: LinkObservation[] = [];
  for (const { upBytes, downBytes, seen } of pingsOf(probe)) {
    observations.push(seen(await ping(downBytes, padding(upBytes))));
  }
  return observations;
}

/** Several observations of about the same time, oldest first. */
export function observeAll(
  state: LinkState,
  observations: readonly LinkObservation[],
  now: number,
): LinkState {
  return observations.reduce((next, observation) => observeLink(next, observation, now), state);
}

/**
 * Bytes without pattern, so that compression on the way cannot shrink them (xorshift32). Four at a time in a plain loop:
 * one by one in a callback, 50 kB took 9 ms of the page's thread and left rubbish of as much again.
 */
function padding(length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let word = 0x9e3779b9;
  for (let index = 0; index < words.length; index += 1) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[index] = word;
  }
  return new Uint8Array(words.buffer, 0, length);
}
