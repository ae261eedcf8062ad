/**
 * Compiles the kernels twice, for one thread and for several, and writes both into a module of
 * `src/runtime/rows`: a few kB that every bundler carries along without being told.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const here = dirname(fileURLToPath(import.meta.url));
const target = fileURLToPath(new URL('../src/runtime/rows/generated/kernels.ts', import.meta.url));

/** 4 GiB, all that 32-bit addresses reach; shared memory must name its limit. */
const MAX_PAGES = 65536;

const COMMON = [
  '--optimizeLevel=3',
  '--converge',
  '--noAssert',
  '--runtime=stub',
  '--importMemory',
  '--enable=simd,bulk-memory',
];

async function compile(flags) {
  let binary;
  const { error, stderr } = await asc.main(['index.ts', '--outFile=kernels.wasm', ...COMMON, ...flags], {
    readFile: (name, base) => readFile(`${base}/${name}`, 'utf8').catch(() => null),
    writeFile: (name, contents) => {
      if (name === 'kernels.wasm') binary = contents;
    },
    listFiles: () => [],
  });
  if (error || binary === undefined)
    throw new Error(`the kernels do not compile:\n${stderr?.toString() ?? error}`);
  return Buffer.from(binary).toString('base64');
}

process.chdir(here);
const one = await compile(['--disable=threads']);
const many = await compile(['--enable=threads', '--sharedMemory', `--maximumMemory=${MAX_PAGES}`]);
const text = `// Written by kernels/build.mjs from kernels/*.ts; not to be edited.
/** WebAssembly in base64 that imports a memory of its own. */
export const KERNELS = '${one}';
/** The same for a memory that threads share. */
export const SHARED_KERNELS = '${many}';
`;
await mkdir(dirname(target), { recursive: true });
const old = await readFile(target, 'utf8').catch(() => '');
if (old !== text) await writeFile(target, text);
