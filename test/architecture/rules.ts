/** DESIGN's "who may import whom", as data. */

/** Parts of `src`: a folder, or a file that stands at its root. */
export function partOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

const EVERYWHERE = ['errors', 'core'];

/** Assembly: these put parts together and may import any of `src`. */
export const ASSEMBLERS = ['index', 'browser', 'node', 'cli', 'workers'];

/**
 * What each part may import at run time, besides itself. Types are looser (see `MAY_NAME`), because
 * an interface names its neighbours' words without needing their code.
 */
export const MAY_RUN: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  core: ['errors'],
  graph: EVERYWHERE,
  protocol: EVERYWHERE,
  device: EVERYWHERE,
  link: EVERYWHERE,
  storage: EVERYWHERE,
  package: [...EVERYWHERE, 'graph', 'storage'],
  planner: [...EVERYWHERE, 'package', 'device', 'link'],
  fleet: [...EVERYWHERE, 'protocol'],
  runtime: [...EVERYWHERE, 'package', 'graph', 'storage'],
  transport: [...EVERYWHERE, 'protocol'],
  session: [
    ...EVERYWHERE,
    'package',
    'protocol',
    'planner',
    'device',
    'link',
    'fleet',
    'runtime',
    'transport',
    'storage',
  ],
  endpoint: [...EVERYWHERE, 'package', 'protocol', 'fleet', 'runtime', 'transport', 'storage'],
  tasks: [...EVERYWHERE, 'package', 'session'],
  // It plays the session's own choices, so it sees what they are made of.
  simulation: [...EVERYWHERE, 'package', 'planner', 'device', 'link', 'fleet', 'session', 'storage'],
};

/** Types that may be named across parts: the words of the system, which carry no code. */
export const MAY_NAME: readonly string[] = [
  'package',
  'runtime',
  'planner',
  'transport',
  'storage',
  'protocol',
];

/** Parts that must not know each other, not even by a type: each must be replaceable alone. */
export const STRANGERS: readonly (readonly [string, string])[] = [
  ['session', 'endpoint'],
  ['tasks', 'endpoint'],
  ['planner', 'transport'],
  ['planner', 'storage'],
];

/** Packages with a single file that imports them, so that replacing one is one file's work. */
export const ONE_IMPORTER: readonly string[] = [
  'onnxruntime-web',
  'onnxruntime-node',
  'comlink',
  'idb-keyval',
];

/** What a browser must never load. */
export const NODE_ONLY_PACKAGES: readonly string[] = ['onnxruntime-node', 'ws', 'selfsigned'];

/** Parts and folders where Node's built-ins may be used. */
export const NODE_PARTS: readonly string[] = ['endpoint', 'cli', 'node'];
export const NODE_FOLDER = 'node';
