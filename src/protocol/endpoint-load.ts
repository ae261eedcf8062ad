/**
 * How busy an endpoint is and how fast it has been of late, told to whoever says hello or pings: a client then plans
 * its first request by more than a guess, and knows of load before it asks. Optional; who does not know the field
 * passes over it.
 */
import {
  amountUpTo,
  badFrame,
  checkLimit,
  countField,
  type JsonObject,
  listField,
  objectField,
  textField,
} from './json.ts';
import { MAX_LOAD_MODELS, MAX_LOAD_MS, MAX_LOAD_PACES, MAX_LOAD_UNITS, MAX_NAME_LENGTH } from './limits.ts';

/** What a segment took there in one run, for whomever. */
export interface ServedPace {
  /** `stage:from-to:phase`, as reports of requests name it. */
  readonly segment: string;
  /** Units of `once`, rows of context of `init`, rows of a `step`. */
  readonly units: number;
  readonly ms: number;
}

export interface ModelLoad {
  /** Ms that an answer asked for now would wait for turns, by what answers waited of late. */
  readonly queueMs: number;
  readonly paces: readonly ServedPace[];
}

/** By model. */
export type EndpointLoad = Readonly<Record<string, ModelLoad>>;

export function writeLoad(load: EndpointLoad | undefined): JsonObject {
  if (load === undefined) return {};
  const entries = Object.entries(load).map(([model, { queueMs, paces }]) => {
    const written = paces.map(({ segment, units, ms }) => [segment, units, ms]);
    return [model, { queue_ms: queueMs, ...(written.length === 0 ? {} : { paces: written }) }];
  });
  return { load: Object.fromEntries(entries) };
}

/** Nothing where the field is absent. Throws `bad-frame` or `limit-exceeded`. */
export function readLoad(value: unknown): { readonly load?: EndpointLoad } {
  if (value === undefined) return {};
  const entries = Object.entries(objectField(value, 'the load of an endpoint'));
  checkLimit('models in a load', entries.length, MAX_LOAD_MODELS);
  return {
    load: Object.fromEntries(
      entries.map(([model, told]) => {
        const fields = objectField(told, 'the load of a model');
        const paces = listField(fields.paces, 'paces of a load', MAX_LOAD_PACES).map(readPace);
        const queueMs = amountUpTo(fields.queue_ms, 'queue of a load', MAX_LOAD_MS);
        return [textField(model, 'model name', MAX_NAME_LENGTH), { queueMs, paces }];
      }),
    ),
  };
}

function readPace(value: unknown): ServedPace {
  const [segment, units, ms, ...rest] = listField(value, 'a pace', 3);
  if (rest.length > 0 || ms === undefined) throw badFrame('a pace is a segment, its units and its ms');
  return {
    segment: textField(segment, 'segment', MAX_NAME_LENGTH),
    units: countField(units, 'units of a pace', MAX_LOAD_UNITS),
    ms: amountUpTo(ms, 'ms of a pace', MAX_LOAD_MS),
  };
}
