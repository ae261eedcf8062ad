/** Reads the import graph of the repository's own TypeScript from its text: no compiler, no build. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

export interface Import {
  readonly specifier: string;
  /** Gone after compilation: `import type`, or a clause whose every name is marked `type`. */
  readonly typeOnly: boolean;
}

export interface Source {
  /** From the repository's root, with forward slashes. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
}

/** Comments and strings cannot begin an import statement: only what starts a line or follows `;` does. */
const STATEMENT =
  /(?:^|;)[ \t]*(?:import|export)\s+(?:(?<clause>type\s+[\w${}*\s,]+?|[\w$*{][\w$*{},\s]*?)\s+from\s+)?(?<quote>['"])(?<specifier>[^'"\n]+)\k<quote>/gm;

/** `import('x')`, `new URL('./x.ts', import.meta.url)`: both load code when they run. */
const DYNAMIC = /\bimport\(\s*(?:\/\*[^*]*\*\/\s*)?(['"])(?<specifier>[^'"\n]+)\1\s*\)/g;
const URL_LOAD = /\bnew\s+URL\(\s*(['"])(?<specifier>[^'"\n]+\.[mc]?[jt]s)\1\s*,\s*import\.meta\.url/g;

function isTypeOnly(clause: string | undefined): boolean {
  if (clause === undefined) return false;
  if (/^type\s+[^,]/.test(clause) && !/^type\s*,/.test(clause)) return true;
  const names = /^\{([\s\S]*)\}$/.exec(clause)?.[1];
  if (names === undefined) return false;
  const list = names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return list.length > 0 && list.every((name) => name.startsWith('type '));
}

export function scanImports(text: string): Import[] {
  const code = text.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/^\s*\/\/.*$/gm, '');
  const found: Import[] = [];
  for (const { groups } of code.matchAll(STATEMENT)) {
    if (groups?.specifier === undefined) continue;
    found.push({ specifier: groups.specifier, typeOnly: isTypeOnly(groups.clause) });
  }
  for (const pattern of [DYNAMIC, URL_LOAD]) {
    for (const { groups } of code.matchAll(pattern)) {
      if (groups?.specifier !== undefined) found.push({ specifier: groups.specifier, typeOnly: false });
    }
  }
  return found;
}

/** Every .ts and .mjs file below the given folders; folders that do not exist have none. */
export function readSources(...folders: readonly string[]): Source[] {
  return folders
    .map((folder) => join(REPOSITORY, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && /(?<!\.d)\.m?[jt]s$/.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name)),
    )
    .map((file) => {
      const text = readFileSync(file, 'utf8');
      const path = relative(REPOSITORY, file).split(sep).join('/');
      return { path, lines: text.split('\n').length, imports: scanImports(text) };
    });
}

/**
 * Path from the root that a relative specifier names, or `undefined` for a package or built-in. The
 * compiler leaves the strings of URLs alone, so those name what a source becomes: `.js` for `.ts`.
 */
export function resolveImport(source: Source, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const path = posix.join(posix.dirname(source.path), specifier);
  const typed = path.replace(/\.js$/, '.ts');
  return existsSync(join(REPOSITORY, typed)) ? typed : path;
}

export function isNodeBuiltin(specifier: string): boolean {
  return specifier.startsWith('node:') || builtinModules.includes(specifier);
}

/** `onnxruntime-web/wasm` is of `onnxruntime-web`. */
export function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** True where some folder on the way to the file has this name. */
export function isInFolder(path: string, folder: string): boolean {
  return dirname(path).split('/').includes(folder);
}
