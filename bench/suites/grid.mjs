/**
 * The planner beside every forced plan, over devices, links, work, caches and loads of the endpoint: how far it is from
 * the best measured one, and what everyone else would have taken.
 */
import { loadavg } from 'node:os';
import { DEVICES, groupsOf, kindOf, only, resultsOf, SUITES } from '../grid/dimensions.mjs';
import { openColdGroup, openWarmGroup } from '../grid/groups.mjs';
import { openProgress } from '../grid/progress.mjs';
import { openResults } from '../grid/result-file.mjs';
import { openRivals } from '../grid/rivals.mjs';
import { nameOf } from '../report/grid-figures.mjs';
import { gridText } from '../report/grid-text.mjs';
import { openDevice } from '../setup/device.mjs';
import { openGridWorld } from '../setup/grid-world.mjs';

/**
 * @param {{ log: (line: string) => void, options: { json?: string, only?: string } }} context `json`: a line is added
 *   for each scenario; those it has already are not run again. `only`: see `dimensions.mjs`
 * @param {keyof typeof SUITES} size
 */
export async function measureGrid({ log, options }, size) {
  const started = performance.now();
  const suite = SUITES[size];
  const results = await openResults(options.json);
  const wanted = only(suite.scenarios(), options.only);
  const left = wanted.filter((scenario) => !results.has(scenario));
  const absent = new Map();
  const late = [];
  const world = await openGridWorld(log, { hasText: left.some((one) => kindOf(one) === 'text') });
  const progress = openProgress(left.length, log);
  const rivals = suite.hasRivals ? openRivals(world) : NO_RIVALS;
  try {
    for (const group of groupsOf(left)) {
      const [{ device: name, cache }] = group;
      if (absent.has(name)) continue;
      if (performance.now() - started > suite.limitMs) {
        late.push(...group);
        continue;
      }
      const device = await openDevice(DEVICES[name]);
      if (device.reason !== undefined) {
        absent.set(name, device.reason);
        await results.note({ device: name, reason: device.reason });
        log(`${name}: absent: ${device.reason}`);
        continue;
      }
      const context = { world, device, ...suite, rivals: rivals.measure };
      const opened = await (cache === 'warm' ? openWarmGroup : openColdGroup)(group, context);
      try {
        for (const scenario of group) {
          if (performance.now() - started > suite.limitMs) {
            late.push(scenario);
            continue;
          }
          progress.begin(nameOf(scenario));
          // Of the whole machine: a run beside others' work is known by it.
          await results.add({ ...(await opened.measure(scenario)), machineLoad: loadavg()[0] });
          progress.end();
        }
      } finally {
        await opened.close();
        await device.close();
      }
    }
  } finally {
    await rivals.close();
    progress.close();
    await world.close();
  }
  const shown = resultsOf(results.all(), options.only);
  return {
    title: `${size}: the planner beside every forced plan; ${world.source}`,
    text: [
      gridText(
        shown,
        [...absent].map(([device, reason]) => ({ device, reason })),
      ),
      ...(late.length === 0 ? [] : [`not measured, for time: ${late.map(nameOf).join('; ')}`]),
      `took ${Math.round((performance.now() - started) / 1000)} s`,
    ].join('\n'),
    results: shown,
  };
}

const NO_RIVALS = { measure: async () => ({}), close: async () => undefined };
