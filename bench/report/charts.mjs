/** Charts of a grid run as inline SVG; colours come from the page's style. Pure. */
import { escapeHtml } from './escape-html.mjs';
import { axesOf, nameOf, pureMs, rowOf } from './grid-figures.mjs';
import { TARGETS } from './targets.mjs';

const percent = (share) => `${(100 * share).toFixed(1)}%`;

/** Two decimals are a hundredth of a pixel: shorter files, the same picture. */
const at = (value) => Number(value.toFixed(2));

const kindOf = (plan) =>
  plan.startsWith('split') ? 'split' : plan.startsWith('remote') ? 'remote' : 'local';

const SCATTER = { size: 360, margin: 44 };

/** Predicted against measured ms on logarithmic axes; the diagonal is a prediction that came true. */
export function scatter(all) {
  const results = all.filter(({ predictedMs }) => predictedMs != null);
  if (results.length === 0) return '<p class="none">Nothing was predicted.</p>';
  const { size, margin } = SCATTER;
  const values = results.flatMap((one) => [one.predictedMs, one.ms.total]);
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const scale = (ms) => ((Math.log10(ms) - low) / (high - low)) * (size - 2 * margin);
  const x = (ms) => at(margin + scale(ms));
  const y = (ms) => at(size - margin - scale(ms));
  const powers = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  const [least, most] = [powers[0], powers.at(-1)];
  const grid = powers.flatMap((power) => [
    `<path class="grid" d="M${x(power)} ${y(least)}V${y(most)}M${x(least)} ${y(power)}H${x(most)}"/>`,
    `<text x="${x(power)}" y="${size - margin + 16}" text-anchor="middle">${power}</text>`,
    `<text x="${margin - 6}" y="${y(power) + 4}" text-anchor="end">${power}</text>`,
  ]);
  const dots = results.map((one) => {
    const title = `${nameOf(one.scenario)}: ${one.plan}, predicted ${one.predictedMs.toFixed(0)} ms, took ${one.ms.total.toFixed(0)}`;
    return `<circle class="${kindOf(one.plan)}" cx="${x(one.ms.total)}" cy="${y(one.predictedMs)}" r="5"><title>${escapeHtml(title)}</title></circle>`;
  });
  return [
    `<svg viewBox="0 0 ${size} ${size}" role="img" aria-label="Predicted against measured time">`,
    ...grid,
    `<path class="line" d="M${x(least)} ${y(least)}L${x(most)} ${y(most)}"/>`,
    ...dots,
    `<text x="${size / 2}" y="${size - 6}" text-anchor="middle">measured, ms</text>`,
    `<text transform="translate(12 ${size / 2}) rotate(-90)" text-anchor="middle">predicted, ms</text>`,
    '</svg>',
  ].join('');
}

const BARS = { width: 740, label: 270, right: 60, row: 22, top: 20 };

/** Regret of each scenario, with the targets of mean and 95th percentile as lines. */
export function bars(results) {
  const { width, label, right, row, top } = BARS;
  const height = top + row * results.length + 8;
  const most = Math.max(2 * TARGETS.p95, ...results.map(({ regret }) => regret));
  const x = (share) => at(label + (Math.max(0, share) / most) * (width - label - right));
  const lines = [
    // To either side of its line: beside a great regret the two are close.
    ['mean', TARGETS.mean, 'end'],
    ['95th', TARGETS.p95, 'start'],
  ].map(
    ([name, share, anchor]) =>
      `<path class="target" d="M${x(share)} ${top - 4}V${height}"/><text x="${x(share)}" y="12" text-anchor="${anchor}">${name} ${percent(share)}</text>`,
  );
  const rows = results.map((one, index) => {
    const y = top + row * index;
    return [
      `<text x="${label - 8}" y="${y + 15}" text-anchor="end">${escapeHtml(nameOf(one.scenario))}</text>`,
      `<rect class="${kindOf(one.plan)}" x="${label}" y="${y + 4}" width="${at(Math.max(1, x(one.regret) - label))}" height="${row - 8}"/>`,
      `<text x="${at(Math.max(x(one.regret), label + 1) + 6)}" y="${y + 15}">${percent(one.regret)}</text>`,
    ].join('');
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Regret of each scenario">${lines.join('')}${rows.join('')}</svg>`;
}

/** Best measured plan over links and devices, with what it saves of the better pure plan. An HTML table. */
export function bestPlans(results) {
  const { links, rows } = axesOf(results);
  const cell = (row, link) => {
    const one = results.find(({ scenario }) => rowOf(scenario) === row && scenario.link === link);
    if (one === undefined) return '<td class="none">not measured</td>';
    const { plan, ms } = one.oracle;
    const gain = 1 - ms / pureMs(one);
    const saved = kindOf(plan) === 'split' ? `<small>saves ${percent(gain)}</small>` : '';
    const chosen = plan === one.plan ? '' : `<small>chosen: ${escapeHtml(one.plan)}</small>`;
    return `<td class="${kindOf(plan)}"><b>${escapeHtml(plan)}</b><small>${ms.toFixed(0)} ms</small>${saved}${chosen}</td>`;
  };
  const head = ['', ...links].map((link) => `<th scope="col">${escapeHtml(link)}</th>`).join('');
  const body = rows.map(
    (row) =>
      `<tr><th scope="row">${escapeHtml(row)}</th>${links.map((link) => cell(row, link)).join('')}</tr>`,
  );
  return `<table class="map"><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}
