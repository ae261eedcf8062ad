/** Lines of a grid run from outside: a file may be cut off, edited, or of another kind. */

/** A full run has some hundred scenarios of 2 KB. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

const SCENARIO = ['device', 'link', 'work', 'cache', 'load'];

/**
 * @param {string} text one JSON document a line
 * @returns {{ results: object[], absent: { device: string, reason: string }[] }} the latest line of each scenario, and
 *   which devices there were none of
 * @throws {Error} naming the first line that is no result
 */
export function readGrid(text) {
  if (text.length > MAX_FILE_BYTES) throw new Error(`the file is larger than ${MAX_FILE_BYTES} bytes`);
  const results = new Map();
  const absent = new Map();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const result = parse(line, index + 1);
    const missing = result?.absent;
    if (typeof missing?.device === 'string' && typeof missing.reason === 'string') {
      absent.set(missing.device, missing.reason);
      continue;
    }
    const fault = faultOf(result);
    if (fault !== undefined) throw new Error(`line ${index + 1} is no result of a grid: ${fault}`);
    results.set(JSON.stringify(result.scenario), result);
  }
  return {
    results: [...results.values()],
    absent: [...absent].map(([device, reason]) => ({ device, reason })),
  };
}

function parse(line, number) {
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`line ${number} is not JSON: was the run cut off while it was written? Delete that line`);
  }
}

function faultOf(result) {
  if (typeof result !== 'object' || result === null) return 'not an object';
  const { scenario, plan, ms, predictedMs, oracle, regret, allLocalMs, allRemoteMs } = result;
  const wrong = SCENARIO.find((field) => typeof scenario?.[field] !== 'string');
  if (wrong !== undefined) return `scenario.${wrong} is no text`;
  if (typeof plan !== 'string' || typeof oracle?.plan !== 'string') return 'plan or oracle.plan is no text';
  // A text that starts where it speaks first predicts nothing for the whole.
  const times = {
    'ms.total': ms?.total,
    'oracle.ms': oracle.ms,
    ...(predictedMs == null ? {} : { predictedMs }),
  };
  for (const [name, value] of Object.entries(times)) {
    if (!(Number.isFinite(value) && value > 0)) return `${name} is no time`;
  }
  if (!Number.isFinite(regret)) return 'regret is no number';
  const pure = [allLocalMs, allRemoteMs].filter((value) => value != null);
  if (pure.length === 0) return 'neither allLocalMs nor allRemoteMs is there';
  return pure.every((value) => Number.isFinite(value) && value > 0) ? undefined : 'a pure time is no time';
}
