/** `/v2/models/{model}/fleet/{provider}/{class}`: GET asks what is believed of a class, POST reports a device of it. */
import { isIsthmusError } from '../../errors.ts';
import { MAX_FLEET_BYTES, parseFleetPath, parseReport } from '../../fleet/messages.ts';
import type { FleetDesk } from '../fleet-desk.ts';
import type { Metrics } from '../metrics.ts';
import { readBody } from './read-body.ts';
import { type Exchange, replyError, replyJson, replyNotFound } from './reply.ts';

/** A state of the address that sends, not a fault in what it sent. */
const TOO_MANY_REQUESTS = 429;

/** @param place the segments of the address behind `fleet` */
export async function fleet(
  exchange: Exchange,
  { desk, metrics }: { readonly desk: FleetDesk; readonly metrics: Metrics },
  name: string,
  place: readonly string[],
): Promise<void> {
  const { request, response } = exchange;
  const named = place.length === 2 ? parseFleetPath(place[0], place[1]) : undefined;
  if (named === undefined) return replyNotFound(exchange);
  if (request.method !== 'POST') {
    const answer = desk.answer({ ...named, name });
    metrics.fleet(answer.prior === undefined ? 'no-prior' : 'prior');
    return replyJson(exchange, answer);
  }
  const left = new AbortController();
  const gone = (): void => left.abort();
  response.once('close', gone);
  try {
    const report = parseReport(await readBody(request, MAX_FLEET_BYTES, left.signal));
    desk.take({ ...named, name }, report, request.socket.remoteAddress ?? '');
    metrics.fleet('report');
    response.writeHead(204, { 'Cache-Control': 'no-store' }).end();
  } catch (error) {
    metrics.fleet('refused');
    if (!isIsthmusError(error) || error.code !== 'limit-exceeded' || !request.complete) throw error;
    metrics.error(error.code);
    replyError(exchange, error, TOO_MANY_REQUESTS);
  } finally {
    response.off('close', gone);
  }
}
