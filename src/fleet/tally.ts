/**
 * The answers that an endpoint has heard: two fading counts for each package, provider, class and question, and
 * nothing of who gave them. Bounded by the packages that are served; the caller lets no other name in.
 */
import { type Ballot, type Belief, type Believe, NO_VOTES, type Votes } from './belief.ts';
import { FLEET_CLASSES, FLEET_PROVIDERS, type FleetClass, type FleetProvider } from './device-class.ts';
import { QUESTIONS } from './question.ts';

export interface FleetPlace {
  /** What identifies the package's contents. */
  readonly model: string;
  readonly provider: FleetProvider;
  readonly deviceClass: FleetClass;
}

/** Browsers, and what people buy, change within a season. */
export const VOTE_HALF_LIFE_MS = 60 * 24 * 3_600_000;

/** Before so many answers about a package nothing is said: it would be their givers' word against the built-in guess. */
export const MIN_VOTES = 20;

/** How unlike each other classes are, in octaves: before a class has answers of its own it is taken for like all. */
const CLASS_DEVIATION = 1;

interface Cell {
  readonly votes: Votes[];
  /** Ms since the Unix epoch, up to which the votes have faded. */
  at: number;
}

export interface StoredCell extends FleetPlace {
  readonly at: number;
  /** By question: yes, then no. */
  readonly votes: readonly (readonly [number, number])[];
}

export class Tally {
  readonly #believe: Believe;
  readonly #cells = new Map<string, Cell>();

  constructor(believe: Believe) {
    this.#believe = believe;
  }

  /** `question` is one of `QUESTIONS`. */
  add(place: FleetPlace, question: number, slower: boolean, epochMs: number): void {
    const key = keyOf(place);
    const cell = this.#cells.get(key) ?? { votes: [...NO_VOTES], at: epochMs };
    const factor = faded(cell, epochMs);
    const votes = cell.votes.map(({ yes, no }) => ({ yes: yes * factor, no: no * factor }));
    const { yes, no } = votes[question] ?? { yes: 0, no: 0 };
    votes[question] = slower ? { yes: yes + 1, no } : { yes, no: no + 1 };
    this.#cells.set(key, { votes, at: Math.max(cell.at, epochMs) });
  }

  /** What is believed of a class, and whether enough was heard for it to be said. */
  look(place: FleetPlace, epochMs: number): { readonly belief: Belief; readonly isKnown: boolean } {
    const all = FLEET_CLASSES.map((deviceClass) => this.#ballot({ ...place, deviceClass }, epochMs));
    const pooled = NO_VOTES.map((_, question): Votes => {
      const at = all.map((ballot) => ballot[question] ?? { yes: 0, no: 0 });
      return { yes: sum(at.map(({ yes }) => yes)), no: sum(at.map(({ no }) => no)) };
    });
    const common = this.#believe(pooled);
    const deviation = Math.hypot(common.doubt, CLASS_DEVIATION);
    const belief = this.#believe(this.#ballot(place, epochMs), { mean: common.median, deviation });
    return { belief, isKnown: sum(pooled.map(({ yes, no }) => yes + no)) >= MIN_VOTES };
  }

  /** For a file; `restore` takes it back. */
  store(): readonly StoredCell[] {
    return [...this.#cells].map(([key, { votes, at }]) => {
      const [model, provider, deviceClass] = JSON.parse(key) as [string, FleetProvider, FleetClass];
      return { model, provider, deviceClass, at, votes: votes.map(({ yes, no }) => [yes, no] as const) };
    });
  }

  /** Takes what has the form of `store`'s cells and is about a model that `isServed`; leaves out the rest. */
  restore(stored: unknown, isServed: (model: string) => boolean): void {
    for (const value of Array.isArray(stored) ? stored.slice(0, MAX_STORED_CELLS) : []) {
      const cell = parseCell(value);
      if (cell === undefined || !isServed(cell.model)) continue;
      const votes = cell.votes.map(([yes, no]) => ({ yes, no }));
      this.#cells.set(keyOf(cell), { votes, at: cell.at });
    }
  }

  #ballot(place: FleetPlace, epochMs: number): Ballot {
    const cell = this.#cells.get(keyOf(place));
    if (cell === undefined) return NO_VOTES;
    const factor = faded(cell, epochMs);
    return cell.votes.map(({ yes, no }) => ({ yes: yes * factor, no: no * factor }));
  }
}

/** 256 packages under each provider and class. */
const MAX_STORED_CELLS = 256 * FLEET_CLASSES.length * FLEET_PROVIDERS.length;

/** More answers to one question than anyone will have; a file that says so is not ours. */
const MAX_VOTES = 1e9;

function keyOf({ model, provider, deviceClass }: FleetPlace): string {
  return JSON.stringify([model, provider, deviceClass]);
}

/** A clock that was set back does not make votes grow. */
function faded({ at }: Cell, epochMs: number): number {
  return 0.5 ** (Math.max(0, epochMs - at) / VOTE_HALF_LIFE_MS);
}

function parseCell(value: unknown): StoredCell | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const cell = value as Partial<Record<keyof StoredCell, unknown>>;
  const { model, at, votes } = cell;
  const provider = FLEET_PROVIDERS.find((name) => name === cell.provider);
  const deviceClass = FLEET_CLASSES.find((name) => name === cell.deviceClass);
  if (typeof model !== 'string' || provider === undefined || deviceClass === undefined) return undefined;
  if (typeof at !== 'number' || !Number.isFinite(at)) return undefined;
  if (!Array.isArray(votes) || votes.length !== QUESTIONS || !votes.every(isPair)) return undefined;
  return { model, provider, deviceClass, at, votes };
}

function isPair(value: unknown): value is [number, number] {
  const isVotes = (one: unknown): boolean => typeof one === 'number' && one >= 0 && one <= MAX_VOTES;
  return Array.isArray(value) && value.length === 2 && value.every(isVotes);
}

function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0);
}
