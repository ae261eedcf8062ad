import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cycles, reach } from './graph.ts';
import {
  ASSEMBLERS,
  MAY_NAME,
  MAY_RUN,
  NODE_FOLDER,
  NODE_ONLY_PACKAGES,
  NODE_PARTS,
  ONE_IMPORTER,
  partOf,
  STRANGERS,
} from './rules.ts';
import {
  isInFolder,
  isNodeBuiltin,
  packageOf,
  REPOSITORY,
  readSources,
  resolveImport,
  type Source,
} from './sources.ts';

/** Longer files are listed for a person to look at; code beyond the second bound holds many ideas. */
const LONG_FILE_LINES = 250;
const MAX_FILE_LINES = 400;

const library = readSources('src', 'workers');
const outside = readSources('demo', 'bench');
const all = [...library, ...outside];

/** Edges between files of ours that break `allowed`. */
function violations(
  sources: readonly Source[],
  allowed: (from: Source, target: string, typeOnly: boolean) => boolean,
): string[] {
  return sources.flatMap((source) =>
    source.imports.flatMap(({ specifier, typeOnly }) => {
      const target = resolveImport(source, specifier);
      if (target === undefined || allowed(source, target, typeOnly)) return [];
      return [`${source.path} -> ${target}${typeOnly ? ' (type)' : ''}`];
    }),
  );
}

const mayUseNode = ({ path }: Source): boolean =>
  NODE_PARTS.includes(partOf(path)) || isInFolder(path, NODE_FOLDER);

describe('imports', () => {
  it('are found', () => {
    expect(library.length).toBeGreaterThan(5);
    expect(library.flatMap((source) => source.imports).length).toBeGreaterThan(10);
  });

  it('name files that exist', () => {
    const missing = violations(all, (_, target) => {
      const path = join(REPOSITORY, target);
      return existsSync(path) || existsSync(path.replace(/\.d\.mts$/, '.mjs'));
    });
    expect(missing).toEqual([]);
  });

  it('go only where the layout says', () => {
    const known = (part: string): boolean => ASSEMBLERS.includes(part) || Object.hasOwn(MAY_RUN, part);
    expect(library.map(({ path }) => partOf(path)).filter((part) => !known(part))).toEqual([]);
    const wrong = violations(library, (source, target, typeOnly) => {
      const [from, to] = [partOf(source.path), partOf(target)];
      if (from === to || ASSEMBLERS.includes(from)) return true;
      return MAY_RUN[from]?.includes(to) === true || (typeOnly && from !== 'core' && MAY_NAME.includes(to));
    });
    expect(wrong).toEqual([]);
  });

  it.each(STRANGERS)('never join %s and %s', (one, other) => {
    const joined = violations(library, (source, target) => {
      const pair = [partOf(source.path), partOf(target)];
      return !(pair.includes(one) && pair.includes(other));
    });
    expect(joined).toEqual([]);
  });

  it('of what assembles the parts come from assemblers alone', () => {
    const wrong = violations(library, (source, target) => {
      const [from, to] = [partOf(source.path), partOf(target)];
      return from === to || !ASSEMBLERS.includes(to) || ASSEMBLERS.includes(from);
    });
    expect(wrong).toEqual([]);
  });

  it('of code for Node come from code for Node', () => {
    const wrong = violations(library, (source, target, typeOnly) => {
      return typeOnly || !isInFolder(target, NODE_FOLDER) || mayUseNode(source);
    });
    expect(wrong).toEqual([]);
  });

  it.each(ONE_IMPORTER)('of %s are in one file', (name) => {
    const importers = library.filter(({ imports }) =>
      imports.some(({ specifier, typeOnly }) => !typeOnly && packageOf(specifier) === name),
    );
    expect(importers.map(({ path }) => path).slice(1)).toEqual([]);
  });

  it("of Node's built-ins are in Node's folders", () => {
    const wrong = library.filter(
      (source) => !mayUseNode(source) && source.imports.some(({ specifier }) => isNodeBuiltin(specifier)),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('of the demo and the bench reach the library by its public entries', () => {
    const wrong = violations(outside, (_, target) => !/^(src|workers|dist)\//.test(target));
    expect(wrong).toEqual([]);
  });

  it('make no cycles', () => {
    expect(cycles(all)).toEqual([]);
  });

  it.each(['src/index.ts', 'workers/runner-worker.ts'])(
    'of %s load nothing that a browser lacks',
    (entry) => {
      const wrong = [...reach(library, entry)]
        .filter(([target]) => isNodeBuiltin(target) || NODE_ONLY_PACKAGES.includes(packageOf(target)))
        .map(([, chain]) => chain.join(' -> '));
      expect(wrong).toEqual([]);
    },
  );
});

describe('files', () => {
  it('hold one idea each', () => {
    const long = [...all, ...readSources('test')].filter(({ lines }) => lines > LONG_FILE_LINES);
    for (const { path, lines } of long) console.info(`${lines} lines: ${path}`);
    const tooLong = long.filter(({ path, lines }) => lines > MAX_FILE_LINES && !path.startsWith('test/'));
    expect(tooLong.map(({ path }) => path)).toEqual([]);
  });

  it('are named in kebab-case', () => {
    const wrong = [...all, ...readSources('test')]
      .map(({ path }) => path)
      .filter((path) => !/^[a-z0-9-]+(\/[a-z0-9-]+)*(\.(test|config|d))?\.m?[jt]s$/.test(path));
    expect(wrong).toEqual([]);
  });
});
