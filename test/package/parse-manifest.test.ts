import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../src/errors.ts';
import {
  MAX_BLOCKS,
  MAX_FILE_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_NAME_LENGTH,
} from '../../src/package/manifest-limits.ts';
import { parseManifest } from '../../src/package/parse-manifest.ts';
import { sampleManifest } from './sample-manifest.ts';

const SAMPLE: unknown = JSON.parse(JSON.stringify(sampleManifest()));

type Node = Record<string, unknown>;

/** What lies at a path such as `stages/0/from`: hostile JSON is edited without regard to its type. */
function at(root: unknown, path: string): unknown {
  return path === '' ? root : path.split('/').reduce((node, key) => (node as Node)[key], root);
}

/** The sample with one place set, or taken away by `undefined`. */
function edited(path: string, value: unknown): unknown {
  const copy = structuredClone(SAMPLE);
  const slash = path.lastIndexOf('/');
  const parent = at(copy, path.slice(0, Math.max(slash, 0)));
  const key = path.slice(slash + 1);
  if (value !== undefined) (parent as Node)[key] = value;
  else if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete (parent as Node)[key];
  return copy;
}

/** The code and JSON path with which `json` is refused. */
function refusal(json: unknown): { code: string; path: unknown } {
  try {
    parseManifest(json);
  } catch (error) {
    if (!isIsthmusError(error)) throw error;
    return { code: error.code, path: error.details.path };
  }
  return { code: 'accepted', path: undefined };
}

describe('parseManifest', () => {
  it('takes text, bytes and parsed JSON, and loses nothing', () => {
    const manifest = sampleManifest();
    const text = JSON.stringify(manifest);
    expect(parseManifest(text)).toEqual(manifest);
    expect(parseManifest(new TextEncoder().encode(text))).toEqual(manifest);
    expect(parseManifest(JSON.parse(text))).toEqual(manifest);
  });

  it('drops fields that it does not know', () => {
    expect(parseManifest(edited('extra', 1))).toEqual(sampleManifest());
    expect(parseManifest(edited('blocks/0/extra', 1))).toEqual(sampleManifest());
  });

  it('says to import again when the version is another one', () => {
    expect(() => parseManifest(edited('version', 3))).toThrow(/import the model again/);
    expect(refusal(edited('version', 3))).toEqual({ code: 'bad-package', path: '$.version' });
  });

  it.each<readonly [string, string, string, unknown]>([
    ['no format', '$', 'format', undefined],
    ['another format', '$.format', 'format', 'zip'],
    ['inherited field', '$', 'name', undefined],
    ['no stages', '$.stages', 'stages', []],
    ['stages as an object', '$.stages', 'stages', {}],
    ['unknown stage kind', '$.stages[0].kind', 'stages/0/kind', 'twice'],
    ['gap between stages', '$.stages[1].from', 'stages/1/from', 3],
    ['overlap of stages', '$.stages[1].from', 'stages/1/from', 1],
    ['empty stage', '$.stages[0].to', 'stages/0/to', 0],
    ['stage beyond the blocks', '$.stages[1].to', 'stages/1/to', 6],
    ['blocks without a stage', '$.stages', 'stages/1/to', 4],
    ['block out of order', '$.blocks[1].index', 'blocks/1/index', 2],
    ['block in another stage', '$.blocks[1].stage', 'blocks/1/stage', 1],
    ['shard not in files', '$.blocks[0].shards[0]', 'blocks/0/shards/0', 'x.bin'],
    ['shard inherited', '$.blocks[0].shards[0]', 'blocks/0/shards/0', 'constructor'],
    ['graph not in files', '$.stages[0].graphs.once', 'stages/0/graphs/once', 'x.onnx'],
    ['step graph not in files', '$.stages[1].graphs.step', 'stages/1/graphs/step', 'x.onnx'],
    ['no step graph', '$.stages[1].graphs', 'stages/1/graphs/step', undefined],
    ['extent of no input', '$.stages[0].extent.input', 'stages/0/extent/input', 'x'],
    ['extent of no axis', '$.stages[0].extent.axis', 'stages/0/extent/axis', 2],
    ['context from nowhere', '$.stages[1].context[0].output', 'stages/1/context/0/output', 'x'],
    ['state outside its stage', '$.stages[1].states[0].block', 'stages/1/states/0/block', 1],
    ['state twice', '$.stages[1].states[1].input', 'stages/1/states/1/input', 'past.2.init'],
    ['init state without init', '$.stages[1].states[0].origin', 'stages/1/graphs/init', undefined],
    ['a cut too few', '$.cuts', 'cuts/5', undefined],
    ['cut out of order', '$.cuts[1].cut', 'cuts/1/cut', 2],
    [
      'step in a once stage',
      '$.cuts[1].crossings.step',
      'cuts/1/crossings/step',
      at(SAMPLE, 'cuts/1/crossings/once'),
    ],
    [
      'once in a loop stage',
      '$.cuts[3].crossings.once',
      'cuts/3/crossings/once',
      at(SAMPLE, 'cuts/1/crossings/once'),
    ],
    ['unknown phase', '$.cuts[1].crossings["twice"]', 'cuts/1/crossings', { twice: {} }],
    ['nothing said inside a stage', '$.cuts[4].crossings', 'cuts/4/crossings', {}],
    [
      'tensor sent twice',
      '$.cuts[1].crossings.once.sent[1].name',
      'cuts/1/crossings/once/sent/1',
      at(SAMPLE, 'cuts/1/crossings/once/sent/0'),
    ],
    [
      'unknown dtype',
      '$.cuts[1].crossings["once"].sent[0].dtype',
      'cuts/1/crossings/once/sent/0/dtype',
      'toString',
    ],
    ['negative extent', '$.stages[0].inputs[0].dims[0]', 'stages/0/inputs/0/dims/0', -1],
    ['infinite size', '$.stages[0].rows.base', 'stages/0/rows/base', null],
    ['short hash', '$.files["tokenizer.json"].sha256', 'files/tokenizer.json/sha256', 'abc'],
    ['upper-case hash', '$.files["tokenizer.json"].sha256', 'files/tokenizer.json/sha256', 'A'.repeat(64)],
    ['negative length', '$.files["tokenizer.json"].bytes', 'files/tokenizer.json/bytes', -1],
    ['tokenizer not in files', '$.tokenizer.tokenizer', 'tokenizer/tokenizer', 'x.json'],
    ['fractional token', '$.generation.bosToken', 'generation/bosToken', 1.5],
    ['silent audio', '$.audio.maxTokensPerSecond', 'audio/maxTokensPerSecond', 0],
    ['notes as text', '$.notes', 'notes', 'note'],
  ])('refuses %s at %s', (_, path, where, value) => {
    expect(refusal(edited(where, value))).toEqual({ code: 'bad-package', path });
  });

  it.each([
    '../a',
    'a/../b',
    '/a',
    'a//b',
    'a/',
    '.',
    './a',
    'a\\b',
    'C:a',
    'https://host/a',
    'a?b',
    'a#b',
    'a%2e%2e',
    'a\u0000b',
    'a\nb',
    '.git/config',
    'a.',
    'ä',
    'manifest.json',
    'MANIFEST.json',
    'constructor',
    '__proto__',
    'x'.repeat(201),
    'TOKENIZER.json',
    'tokenizer.json/inner',
  ])('refuses the file name %j', (name) => {
    const text = JSON.stringify(edited('files/placeholder', at(SAMPLE, 'files/tokenizer.json'))).replace(
      '"placeholder"',
      JSON.stringify(name),
    );
    expect(refusal(text)).toEqual({ code: 'bad-package', path: `$.files[${JSON.stringify(name)}]` });
  });

  it.each<readonly [string, string, unknown]>([
    ['$.blocks', 'blocks', new Array(MAX_BLOCKS + 1).fill({})],
    ['$.name', 'name', 'x'.repeat(MAX_NAME_LENGTH + 1)],
    ['$.files["tokenizer.json"].bytes', 'files/tokenizer.json/bytes', MAX_FILE_BYTES + 1],
  ])('refuses what exceeds a bound at %s', (path, where, value) => {
    expect(refusal(edited(where, value))).toEqual({ code: 'limit-exceeded', path });
  });

  it('refuses a document over the bound before it parses it', () => {
    expect(refusal(' '.repeat(MAX_MANIFEST_BYTES + 1)).code).toBe('limit-exceeded');
    expect(refusal(new Uint8Array(MAX_MANIFEST_BYTES + 1)).code).toBe('limit-exceeded');
  });

  it.each([
    '',
    '{',
    'null',
    '[]',
    '1',
    '[[[[',
    '['.repeat(100_000),
    undefined,
    null,
    Symbol('no'),
    new Uint8Array([0xff]),
  ])('refuses what is no manifest', (json) => {
    expect(refusal(json).code).toBe('bad-package');
  });

  it('yields a manifest or a typed refusal for any mutation', () => {
    const text = JSON.stringify(sampleManifest());
    const seen = new Set<string>();
    const mutation = fc.record({
      at: fc.nat(),
      how: fc.oneof(
        fc.constant('delete' as const),
        fc.constant('duplicate' as const),
        fc.record({ value: fc.oneof(fc.jsonValue(), fc.integer(), fc.double(), fc.constant('../x')) }),
      ),
    });
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        const manifest = JSON.parse(text) as unknown;
        for (const { at, how } of mutations) mutate(manifest, at, how);
        try {
          const parsed = parseManifest(manifest);
          seen.add('accepted');
          expect(parseManifest(JSON.stringify(parsed))).toEqual(parsed);
        } catch (error) {
          if (!isIsthmusError(error)) throw error;
          seen.add(error.code);
          expect(['bad-package', 'limit-exceeded']).toContain(error.code);
          expect(error.details.path).toMatch(/^\$/);
        }
      }),
      { numRuns: 1500, seed: 20 },
    );
    // The mutations reach both answers: otherwise the property above would say little.
    expect(seen).toContain('accepted');
    expect(seen).toContain('bad-package');
  });

  it('yields a manifest or a typed refusal for any change of its bytes', () => {
    const bytes = new TextEncoder().encode(JSON.stringify(sampleManifest()));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1 }), (edits) => {
        const copy = bytes.slice();
        for (const [at, byte] of edits) copy[at] = byte;
        expect(['accepted', 'bad-package', 'limit-exceeded']).toContain(refusal(copy).code);
      }),
      { numRuns: 500, seed: 21 },
    );
  });
});

/** Changes the `index`-th place of the document, counted over all fields and items. */
function mutate(root: unknown, index: number, how: 'delete' | 'duplicate' | { value: unknown }): void {
  const places: [Node | unknown[], string][] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      places.push([node as Node, key]);
      walk(value);
    }
  };
  walk(root);
  const [node, key] = places[index % Math.max(places.length, 1)] ?? [];
  if (node === undefined || key === undefined) return;
  if (typeof how === 'object') (node as Node)[key] = how.value;
  else if (!Array.isArray(node)) delete node[key];
  else if (how === 'duplicate') node.push(node[Number(key)]);
  else node.splice(Number(key), 1);
}
