/** Lines of a grid run from outside: a file may be cut off, edited, or of another kind. */

/** A full run has some hundred scenarios of 2 KB. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

const SCENARIO = ['device', 'link', 'work', 'cache', 'load'];

/**
 * @param {string} text one JSON document a line
 * @returns {object[]} the latest line of each scenario
 * @throws {Error} naming the first line that is no result
 */
export function readGrid(text) {
  if (text.length > MAX_FILE_BYTES) throw new Error(`the file is larger than ${MAX_FILE_BYTES} bytes`);
  const results = new Map();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const result = parse(line, index + 1);
    const fault = faultOf(result);
    if (fault !== undefined) throw new Error(`line ${index + 1} is no result of a grid: ${fault}`);
    results.set(JSON.stringify(result.scenario), result);
  }
  return [...results.values()];
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
  const times = { 'ms.total': ms?.total, predictedMs, 'oracle.ms': oracle.ms };
  for (const [name, value] of Object.entries(times)) {
    if (!(Number.isFinite(value) && value > 0)) return `${name} is no time`;
  }
  if (!Number.isFinite(regret)) return 'regret is no number';
  const pure = [allLocalMs, allRemoteMs].filter((value) => value != null);
  if (pure.length === 0) return 'neither allLocalMs nor allRemoteMs is there';
  return pure.every((value) => Number.isFinite(value) && value > 0) ? undefined : 'a pure time is no time';
}
