/** The report of a grid run: one file, no script, nothing from elsewhere; light and dark, wide and narrow. Pure. */
import { bars, bestPlans, scatter } from './charts.mjs';
import { escapeHtml } from './escape-html.mjs';
import { nameOf } from './grid-figures.mjs';
import { sentenceOfAbsent, sentencesOf } from './grid-text.mjs';
import { processorBars } from './processor-chart.mjs';

const STYLE = `
:root { color-scheme: light dark; --text: #1b2530; --soft: #5b6875; --back: #fbfaf7; --line: #d8d5cc;
  --local: #2f7d5b; --remote: #3567b5; --split: #b8602a; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e6e0; --soft: #a3adb7; --back: #151a20; --line: #343c45;
  --local: #62b98f; --remote: #7ea8ea; --split: #e39a63; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 64rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--back); }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .5rem; }
p { max-width: 44rem; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; } .scroll > * { min-width: 36rem; }
svg { display: block; width: 100%; height: auto; } svg.small { max-width: 26rem; }
svg text { font-size: 11px; fill: var(--soft); } .grid { stroke: var(--line); } .line { stroke: var(--soft); }
.client { fill: var(--local); } .endpoint { fill: var(--remote); }
.saved { fill: none; stroke: var(--remote); stroke-dasharray: 2 2; }
.target { stroke: var(--soft); stroke-dasharray: 3 3; }
circle, rect { fill-opacity: .8; } .local { fill: var(--local); } .remote { fill: var(--remote); }
.split { fill: var(--split); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; font-weight: 500; }
.map td { text-align: left; border-left: 4px solid var(--line); } .map th { text-align: left; }
.map td.local { border-left-color: var(--local); } .map td.remote { border-left-color: var(--remote); }
.map td.split { border-left-color: var(--split); } .map small { display: block; color: var(--soft); }
.none { color: var(--soft); } .key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; }
.key.local { background: var(--local); } .key.remote { background: var(--remote); }
.key.split { background: var(--split); }
`;

const whole = (value) => (value == null ? '–' : Math.round(value).toLocaleString('en-GB'));

const COLUMNS = [
  ['scenario', (one) => nameOf(one.scenario)],
  ['plan', (one) => one.plan],
  ['ms', (one) => whole(one.ms.total)],
  ['first token', (one) => whole(one.ms.ttft)],
  ['tokens/s', (one) => (one.tokensPerSecond == null ? '–' : one.tokensPerSecond.toFixed(1))],
  ['bytes up', (one) => whole(one.bytesUp)],
  ['down', (one) => whole(one.bytesDown)],
  ['trips', (one) => whole(one.roundTrips)],
  ['client CPU ms', (one) => whole(one.clientCpuMs)],
  ['endpoint CPU ms', (one) => whole(one.endpointCpuMs)],
  ['local', (one) => whole(one.allLocalMs)],
  ['remote', (one) => whole(one.allRemoteMs)],
  ['middle cut', (one) => whole(one.fixedMiddleMs)],
  ['endpoint CPU, all remote', (one) => whole(one.allRemoteEndpointCpuMs)],
];

/** Others in the same scenarios, in the order in which they are first met. */
const peersOf = (results) => [...new Set(results.flatMap(({ peers = {} }) => Object.keys(peers)))];

/** @param {{ title: string, machine?: string, absent?: readonly { device: string, reason: string }[] }} about */
export function gridHtml(results, { title, machine, absent = [] }) {
  const missing = absent.map((one) => `<p class="soft">${escapeHtml(sentenceOfAbsent(one))}</p>`);
  const sections = results.length === 0 ? ['<p>No scenario was measured.</p>'] : sectionsOf(results);
  const body = [...sections, ...missing].join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(title)}</h1>
<p class="soft">${machine === undefined ? '' : `${escapeHtml(machine)}. `}Times are medians of runs that alternate with those of the other plans. Regret: the share by which the planner's request took longer than the best measured plan.</p>
${body}
</body></html>
`;
}

function sectionsOf(results) {
  const sentences = sentencesOf(results).map((sentence) => `<li>${escapeHtml(sentence)}</li>`);
  const columns = [
    ...COLUMNS,
    ...peersOf(results).map((name) => [name, (one) => whole(one.peers?.[name]?.ms)]),
  ];
  const rows = results.map(
    (one) => `<tr>${columns.map(([, of]) => `<td>${escapeHtml(of(one))}</td>`).join('')}</tr>`,
  );
  const head = columns.map(([name]) => `<th scope="col">${escapeHtml(name)}</th>`).join('');
  const key = ['local', 'remote', 'split'].map((kind) => `<span class="key ${kind}"></span>${kind}`).join('');
  return [
    `<ul>${sentences.join('')}</ul><p class="soft">Colours: ${key}</p>`,
    `<h2>Best measured plan</h2><div class="scroll">${bestPlans(results)}</div>`,
    `<h2>Predicted and measured</h2>${scatter(results).replace('<svg ', '<svg class="small" ')}`,
    `<h2>Processor time of a request</h2><p class="soft">Of the whole browser, and of the endpoint beside what all-remote costs it.</p><div class="scroll">${processorBars(results)}</div>`,
    `<h2>Regret</h2><div class="scroll">${bars(results)}</div>`,
    `<h2>All figures</h2><div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`,
  ];
}
