/**
 * Neurosurgeon's way (Kang et al., ASPLOS 2017): blocks were timed once, before the link was what it is now; at run
 * time the bandwidth alone is asked for. Round trips, load and drift are not seen. Here it reads the times that a
 * session has when it is new, and is told the true rates. Pure.
 */

/**
 * @param {readonly { id: string, kind: string, cut: number, codec: string, prediction: object }[]} plans of `explain`
 *   on a session that has seen no link but a fast one
 * @param {{ up: number, down: number }} link Mbit/s
 * @returns {{ id: string, choice: unknown }}
 */
export function offlinePlan(plans, { up, down }) {
  const cost = ({ prediction: { deviceMs, endpointMs, bytesUp, bytesDown } }) =>
    deviceMs + endpointMs + (8 * bytesUp) / (1000 * up) + (8 * bytesDown) / (1000 * down);
  const { id, kind, cut, codec } = plans.reduce((a, b) => (cost(b) < cost(a) ? b : a));
  return { id, choice: kind === 'split' ? { cut, codec } : kind };
}
