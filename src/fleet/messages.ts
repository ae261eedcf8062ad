/**
 * The two documents that cross, as JSON. A report has these fields and no others: what could identify anyone has
 * no place to stand. The package, the provider and the class are in the address.
 */
import { badFrame, countField, type JsonObject, objectField, parseJsonObject } from '../protocol/json.ts';
import { FLEET_CLASSES, FLEET_PROVIDERS, type FleetClass, type FleetProvider } from './device-class.ts';
import { MAX_OCTAVES, QUESTIONS } from './question.ts';

/** Stands for the questions, for `FLEET_EPSILON` and for what a factor is measured against. */
export const FLEET_VERSION = 1;

/** Several times the longest of either document. */
export const MAX_FLEET_BYTES = 1024;

export interface FleetReport {
  readonly version: typeof FLEET_VERSION;
  readonly question: number;
  /** The randomised answer. */
  readonly slower: boolean;
}

export interface FleetAnswer {
  readonly version: typeof FLEET_VERSION;
  /** The question that the next report should answer. */
  readonly ask: number;
  /** Absent until enough reports have come. */
  readonly prior?: FleetPrior;
}

export interface FleetPrior {
  /** Times slower than the built-in guess, as a logarithm to base 2. */
  readonly octaves: number;
  /** Standard deviation of one device, in octaves. */
  readonly spread: number;
}

/** `/v2/models/{model}/fleet/{provider}/{class}` */
export function fleetPath(model: string, provider: FleetProvider, deviceClass: FleetClass): string {
  return `/v2/models/${encodeURIComponent(model)}/fleet/${provider}/${deviceClass}`;
}

/** The last two parts of that address; `undefined` for what is neither a provider nor a class. */
export function parseFleetPath(
  provider: string | undefined,
  deviceClass: string | undefined,
): { readonly provider: FleetProvider; readonly deviceClass: FleetClass } | undefined {
  const known = FLEET_PROVIDERS.find((name) => name === provider);
  const named = FLEET_CLASSES.find((name) => name === deviceClass);
  return known === undefined || named === undefined ? undefined : { provider: known, deviceClass: named };
}

/** Throws `bad-frame` for anything but a report of this version. */
export function parseReport(bytes: Uint8Array): FleetReport {
  const fields = parseJsonObject(bytes, 'a report');
  const names = Object.keys(fields).sort().join();
  if (names !== 'question,slower,version') throw badFrame('a report has version, question and slower alone');
  checkVersion(fields);
  const question = questionField(fields.question);
  if (typeof fields.slower !== 'boolean') throw badFrame('the answer of a report is neither true nor false');
  return { version: FLEET_VERSION, question, slower: fields.slower };
}

/** Throws `bad-frame`, `limit-exceeded` for anything but an answer within its bounds. */
export function parseAnswer(bytes: Uint8Array): FleetAnswer {
  const fields = parseJsonObject(bytes, 'the answer about a fleet');
  checkVersion(fields);
  const ask = questionField(fields.ask);
  if (fields.prior === undefined) return { version: FLEET_VERSION, ask };
  const { octaves, spread } = objectField(fields.prior, 'a prior');
  return {
    version: FLEET_VERSION,
    ask,
    prior: {
      octaves: octavesField(octaves, -MAX_OCTAVES, 'the factor of a prior'),
      spread: octavesField(spread, 0, 'the spread of a prior'),
    },
  };
}

function checkVersion({ version }: JsonObject): void {
  if (version !== FLEET_VERSION) throw badFrame(`it is not of version ${FLEET_VERSION}`);
}

function questionField(value: unknown): number {
  return countField(value, 'the number of a question', QUESTIONS - 1);
}

function octavesField(value: unknown, least: number, what: string): number {
  if (typeof value !== 'number' || !(value >= least && value <= MAX_OCTAVES)) {
    throw badFrame(`${what} is not from ${least} to ${MAX_OCTAVES} octaves`);
  }
  return value;
}
