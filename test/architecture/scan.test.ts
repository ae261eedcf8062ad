/** The rules stand on this reading of imports, so it has tests of its own. */
import { describe, expect, it } from 'vitest';
import { cycles, reach } from './graph.ts';
import { isNodeBuiltin, packageOf, type Source, scanImports } from './sources.ts';

const value = (specifier: string) => ({ specifier, typeOnly: false });
const type = (specifier: string) => ({ specifier, typeOnly: true });

describe('scanImports', () => {
  it.each([
    ["import './a.ts';", [value('./a.ts')]],
    ["import { b } from './a.ts';", [value('./a.ts')]],
    ['import { b } from "./a.ts";', [value('./a.ts')]],
    ["import b, { c } from 'a';", [value('a')]],
    ["import * as a from 'a/b';", [value('a/b')]],
    ["import {\n  b,\n  type C,\n} from './a.ts';", [value('./a.ts')]],
    ["import type { B } from './a.ts';", [type('./a.ts')]],
    ["import type B from './a.ts';", [type('./a.ts')]],
    ["import type * as B from './a.ts';", [type('./a.ts')]],
    ["import { type B, type C } from './a.ts';", [type('./a.ts')]],
    ["import { typed } from './a.ts';", [value('./a.ts')]],
    ["export { b } from './a.ts';", [value('./a.ts')]],
    ["export * from './a.ts';", [value('./a.ts')]],
    ["export type { B } from './a.ts';", [type('./a.ts')]],
    ["import a from 'a'; import b from 'b';", [value('a'), value('b')]],
    ["const a = await import('./a.ts');", [value('./a.ts')]],
    ["new Worker(new URL('../w.ts', import.meta.url), { type: 'module' })", [value('../w.ts')]],
    ["new URL('https://example.org/', location.href)", []],
    ["// import './a.ts';\n/* import './b.ts'; */\n * import './c.ts';", []],
    ["export const from = 'a';", []],
    ["export function f() {\n  return x.from('a');\n}", []],
  ])('reads %j', (text, expected) => {
    expect(scanImports(text)).toEqual(expected);
  });
});

it.each([
  ['onnxruntime-web/wasm', 'onnxruntime-web'],
  ['@huggingface/tokenizers', '@huggingface/tokenizers'],
  ['@scope/name/deep', '@scope/name'],
])('packageOf %s', (specifier, expected) => {
  expect(packageOf(specifier)).toBe(expected);
});

it('knows built-ins with and without the prefix', () => {
  expect(['node:fs', 'fs', 'fs/promises', 'node:test', 'ws'].map(isNodeBuiltin)).toEqual([
    true,
    true,
    true,
    true,
    false,
  ]);
});

const source = (path: string, ...imports: Source['imports']): Source => ({ path, lines: 1, imports });

it('finds a cycle through types and reports it once', () => {
  const sources = [
    source('a.ts', value('./b.ts')),
    source('b.ts', type('./c.ts')),
    source('c.ts', value('./b.ts')),
  ];
  expect(cycles(sources)).toEqual([['b.ts', 'c.ts', 'b.ts']]);
});

it('follows run-time imports, not types', () => {
  const sources = [
    source('src/a.ts', value('./b.ts'), type('./c.ts')),
    source('src/b.ts', value('ws')),
    source('src/c.ts', value('node:fs')),
  ];
  expect([...reach(sources, 'src/a.ts').keys()]).toEqual(['src/a.ts', 'src/b.ts', 'ws']);
});
