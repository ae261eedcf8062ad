/** What `isthmus import` was pointed at, brought here where it is on a hub, and imported by its kind. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { readModel } from '../graph/onnx-read.ts';
import { importOnnx } from '../node/import-onnx.ts';
import { checkGguf, type ImportedText, importGguf, importOnnxFolder } from '../node/import-text.ts';
import { classify } from '../package/import/classify.ts';
import { isHubAddress } from '../package/node/hub/address.ts';
import { type DownloadPlan, fetchHubModel } from '../package/node/hub/hub-model.ts';
import { UsageError } from './flags.ts';
import { findDefaults } from './import-defaults.ts';
import { audioOf, type Given, generationOf, tokenizerOf } from './import-settings.ts';
import { bytesText } from './inspect-table.ts';
import type { Progress } from './progress.ts';

export type ImportSourceKind =
  | { readonly kind: 'gguf'; readonly path: string }
  /** `graphs`: in place of those that the folder's layout names. */
  | { readonly kind: 'folder'; readonly dir: string; readonly graphs?: readonly string[] }
  | { readonly kind: 'files'; readonly paths: readonly string[] };

export interface HubFlags {
  readonly hub: string | undefined;
  readonly token: string | undefined;
  readonly cache: string;
  readonly progress: Progress;
}

/** @throws UsageError for several where one is meant; and as `fetchHubModel` */
export async function bringSource(
  positionals: readonly string[],
  given: Given,
  flags: HubFlags,
): Promise<ImportSourceKind> {
  const [first = '', ...others] = positionals;
  const alone = (what: string): void => {
    if (others.length > 0) throw new UsageError(`${what} is imported alone, not with ${others.join(' ')}`);
  };
  if (positionals.some(isHubAddress)) {
    alone('a model of a hub');
    return fromHub(first, given, flags);
  }
  if (positionals.some((path) => /\.gguf$/i.test(path))) {
    alone('a GGUF');
    return { kind: 'gguf', path: first };
  }
  if ((await stat(first).catch(() => undefined))?.isDirectory() === true) {
    alone('a folder');
    return { kind: 'folder', dir: first };
  }
  const dir = others.length > 0 ? undefined : await configFolder(first);
  return dir === undefined
    ? { kind: 'files', paths: positionals }
    : { kind: 'folder', dir, graphs: positionals };
}

/** Where a lone file's `config.json` lies, beside it or one folder up; one that is broken does not count. */
async function configFolder(file: string): Promise<string | undefined> {
  const beside = dirname(resolve(file));
  for (const dir of [beside, dirname(beside)]) {
    try {
      const json: unknown = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'));
      if (typeof json === 'object' && json !== null) return dir;
    } catch {
      // The importer says what it made of the files that are there.
    }
  }
  return undefined;
}

async function fromHub(address: string, given: Given, flags: HubFlags): Promise<ImportSourceKind> {
  const { progress } = flags;
  progress.step(`looking at ${address}`);
  const model = await fetchHubModel(address, {
    cache: flags.cache,
    ...(flags.hub !== undefined && flags.hub !== '' && { hub: flags.hub }),
    ...(flags.token !== undefined && flags.token !== '' && { token: flags.token }),
    ...(given.variant !== undefined && { variant: given.variant }),
    checkGguf,
    checkGraph,
    onPlan: (plan) => progress.notice(planText(plan)),
    onProgress: progress.download,
    onNotice: progress.notice,
  });
  const [path = ''] = model.models;
  return model.kind === 'gguf'
    ? { kind: 'gguf', path }
    : { kind: 'folder', dir: model.dir, graphs: model.models };
}

/** A graph without its weights says already whether it can be read, and whether its inputs make sense. */
async function checkGraph(path: string): Promise<void> {
  classify(readModel(new Uint8Array(await readFile(path))));
}

function planText({ repo, variant, files, bytes, kept }: DownloadPlan): string {
  const what = `${repo} (${variant}): ${files.length} ${files.length === 1 ? 'file' : 'files'}, ${bytesText(bytes)}`;
  if (kept === bytes) return `${what}; all of it is here`;
  return kept === 0 ? `${what} to download` : `${what}, of which ${bytesText(bytes - kept)} to download`;
}

export interface ImportTarget {
  readonly out: string;
  readonly name: string;
  readonly progress: Progress;
}

/** @throws IsthmusError as `importOnnx`, `importGguf` and `importOnnxFolder` */
export async function importSource(
  source: ImportSourceKind,
  given: Given,
  { out, name, progress }: ImportTarget,
): Promise<ImportedText> {
  const target = { out, name, onProgress: progress.step };
  if (source.kind === 'files') {
    const defaults = await findDefaults(source.paths);
    const assumed: string[] = [];
    const manifest = await importOnnx(source.paths, {
      ...target,
      ...generationOf(given, defaults, assumed),
      ...audioOf(given, defaults, assumed),
      ...(await tokenizerOf(given, defaults)),
    });
    return { manifest, notes: [...defaults.notes, ...assumed] };
  }
  const wishes = {
    ...target,
    ...(given.bos !== undefined && { bosToken: given.bos }),
    ...(given.eos !== undefined && { eosTokens: given.eos }),
    ...(given.maxTokens !== undefined && { maxTokens: given.maxTokens }),
    ...(given.context !== undefined && { contextLength: given.context }),
    ...(await tokenizerOf(given, { notes: [] })),
  };
  if (source.kind === 'gguf') return importGguf(source.path, wishes);
  const said: string[] = [];
  const made = await importOnnxFolder(source.dir, {
    ...wishes,
    ...(given.variant !== undefined && { variant: given.variant }),
    ...(source.graphs !== undefined && { graphs: source.graphs }),
    other: async (graphs) => {
      const defaults = await findDefaults(graphs);
      said.push(...defaults.notes);
      return { ...generationOf(given, defaults, said), ...audioOf(given, defaults, said) };
    },
  });
  return { ...made, notes: [...said, ...made.notes] };
}
