/** Questions to the import graph: pure, over whatever files they are given. */
import { resolveImport, type Source } from './sources.ts';

/** Every specifier and file that `entry` loads at run time, each with the chain that leads to it. */
export function reach(sources: readonly Source[], entry: string): Map<string, readonly string[]> {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const chains = new Map<string, readonly string[]>([[entry, [entry]]]);
  const queue = [entry];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const source = byPath.get(path);
    if (source === undefined) continue;
    for (const { specifier, typeOnly } of source.imports) {
      if (typeOnly) continue;
      const target = resolveImport(source, specifier) ?? specifier;
      if (chains.has(target)) continue;
      chains.set(target, [...(chains.get(path) ?? []), target]);
      queue.push(target);
    }
  }
  return chains;
}

/** Each cycle of files once, types included: two files that name each other are one idea in two places. */
export function cycles(sources: readonly Source[]): string[][] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const done = new Set<string>();
  const found: string[][] = [];
  function visit(path: string, trail: readonly string[]): void {
    const seenAt = trail.indexOf(path);
    if (seenAt >= 0) {
      found.push([...trail.slice(seenAt), path]);
      return;
    }
    const source = byPath.get(path);
    if (done.has(path) || source === undefined) return;
    for (const { specifier } of source.imports) {
      const target = resolveImport(source, specifier);
      if (target !== undefined) visit(target, [...trail, path]);
    }
    done.add(path);
  }
  for (const { path } of sources) visit(path, []);
  return found;
}
