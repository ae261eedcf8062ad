/** Processor time at both ends for each scenario, and what all-remote would cost the endpoint. Inline SVG; pure. */
import { escapeHtml } from './escape-html.mjs';
import { nameOf } from './grid-figures.mjs';

const BARS = { width: 740, label: 270, right: 210, row: 30, top: 6, thick: 9 };

export function processorBars(results) {
  const measured = results.filter(({ clientCpuMs }) => clientCpuMs != null);
  if (measured.length === 0) return '<p class="none">Not measured.</p>';
  const { width, label, right, row, top, thick } = BARS;
  const height = top + row * measured.length + 8;
  const all = measured.flatMap((one) => [one.clientCpuMs, one.endpointCpuMs, one.allRemoteEndpointCpuMs]);
  const most = Math.max(1, ...all.map((value) => value ?? 0));
  const length = (ms) => Number((((ms ?? 0) / most) * (width - label - right)).toFixed(2));
  const bar = (name, y, ms) =>
    `<path class="${name}" d="M${label} ${y}h${Math.max(1, length(ms))}v${thick}H${label}z"/>`;
  const rows = measured.map((one, index) => {
    const y = top + row * index;
    const remote = one.allRemoteEndpointCpuMs;
    const said = [`client ${Math.round(one.clientCpuMs)}`];
    if (one.endpointCpuMs != null) said.push(`endpoint ${Math.round(one.endpointCpuMs)}`);
    if (remote != null) said.push(`all-remote ${Math.round(remote)}`);
    const end = label + length(Math.max(one.clientCpuMs, one.endpointCpuMs ?? 0, remote ?? 0)) + 6;
    return [
      `<text x="${label - 8}" y="${y + 14}" text-anchor="end">${escapeHtml(nameOf(one.scenario))}</text>`,
      bar('client', y + 2, one.clientCpuMs),
      one.endpointCpuMs == null ? '' : bar('endpoint', y + 2 + thick, one.endpointCpuMs),
      remote == null ? '' : bar('saved', y + 2 + thick, remote),
      `<text x="${end}" y="${y + 14}">${said.join(', ')}</text>`,
    ].join('');
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Processor time of client and endpoint, ms">${rows.join('')}</svg>`;
}
