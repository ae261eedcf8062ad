/** A model from a hub into the cache: listed, chosen, looked at, and only then downloaded. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { IsthmusError } from '../../../errors.ts';
import type { ByteSource } from '../../gguf/byte-source.ts';
import { type HubOptions, hubAccess } from './access.ts';
import { parseHubAddress } from './address.ts';
import { isKept, snapshotDir } from './cache.ts';
import { type Choice, chooseFiles } from './choose.ts';
import { bringFile, type FileTask } from './download.ts';
import { type HubFile, listRepository } from './listing.ts';
import { withPrefix } from './prefix-source.ts';

/** A model's own configuration is some kilobytes. */
const MAX_CONFIG_BYTES = 4 * 2 ** 20;

export interface HubModelOptions extends HubOptions {
  /** Folder for downloads. */
  readonly cache: string;
  /** Of several exports: `fp32`, `q4`, ...; of several GGUF files: `Q4_0`, ... */
  readonly variant?: string;
  /** Refuses a GGUF by its header, of which alone the bytes are fetched. */
  readonly checkGguf?: (header: ByteSource) => Promise<void>;
  /** Refuses an ONNX model by a graph whose weights lie in other files, before those are fetched. */
  readonly checkGraph?: (path: string) => Promise<void>;
  /** Before the first large byte: what will be downloaded, and what of it is here. */
  readonly onPlan?: (plan: DownloadPlan) => void;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

export interface DownloadPlan {
  readonly repo: string;
  readonly commit: string;
  readonly variant: string;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Of all files. */
  readonly bytes: number;
  /** Of files that the cache holds already. */
  readonly kept: number;
}

export interface DownloadProgress {
  readonly file: string;
  /** Of all files together. */
  readonly bytes: number;
  readonly total: number;
}

export interface HubModel {
  readonly kind: 'gguf' | 'onnx';
  /** For a package that is given none: the last part of the repository's name. */
  readonly name: string;
  /** Folder with the files as the repository lays them out. */
  readonly dir: string;
  /** Absolute: the GGUF, or the graphs with an encoder first. */
  readonly models: readonly string[];
  readonly plan: DownloadPlan;
}

/** @throws IsthmusError as `listRepository`, `chooseFiles` and `bringFile`, and what the checks throw */
export async function fetchHubModel(address: string, options: HubModelOptions): Promise<HubModel> {
  const where = parseHubAddress(address);
  const access = hubAccess(options);
  const { cache } = options;
  const listing = await listRepository(access, where);
  const task = (file: HubFile): FileTask => ({ access, cache, listing, file });
  const config = listing.files.find(({ path }) => path === 'config.json');
  const json = config === undefined || where.file !== undefined ? undefined : await readConfig(task(config));
  const choice = chooseFiles(listing, { file: where.file, variant: options.variant }, modelTypeOf(json));
  const files = filesOf(choice);
  const kept = await keptBytes(cache, files);
  const plan: DownloadPlan = {
    repo: listing.repo,
    commit: listing.commit,
    variant: choice.kind === 'gguf' ? basename(choice.model.path) : choice.variant,
    files: files.map(({ path, bytes }) => ({ path, bytes })),
    bytes: total(files),
    kept,
  };
  const { checkGguf } = options;
  if (choice.kind === 'gguf' && checkGguf !== undefined && !(await isKept(cache, choice.model))) {
    await withPrefix(task(choice.model), checkGguf);
  }
  options.onPlan?.(plan);
  const paths = new Map<HubFile, string>();
  let before = 0;
  for (const file of files) {
    const onBytes = (here: number): void =>
      options.onProgress?.({ file: file.path, bytes: before + here, total: plan.bytes });
    const path = await bringFile({ ...task(file), onBytes });
    paths.set(file, path);
    before += file.bytes;
    // Graphs come before their data, which is the large part.
    const isGraph = choice.kind === 'onnx' && choice.graphs.includes(file);
    if (isGraph && choice.data.length > 0) await options.checkGraph?.(path);
  }
  return {
    kind: choice.kind,
    name: where.repo.slice(where.repo.indexOf('/') + 1),
    dir: snapshotDir(cache, listing),
    models: (choice.kind === 'gguf' ? [choice.model] : choice.graphs).flatMap(
      (file) => paths.get(file) ?? [],
    ),
    plan,
  };
}

/** In the order of download: what can refuse the model comes first. */
function filesOf(choice: Choice): readonly HubFile[] {
  return choice.kind === 'gguf' ? [choice.model] : [...choice.configs, ...choice.graphs, ...choice.data];
}

async function keptBytes(cache: string, files: readonly HubFile[]): Promise<number> {
  const kept = await Promise.all(files.map((file) => isKept(cache, file)));
  return total(files.filter((_, index) => kept[index]));
}

function total(files: readonly HubFile[]): number {
  return files.reduce((sum, file) => sum + file.bytes, 0);
}

async function readConfig(task: FileTask): Promise<unknown> {
  const { file, listing } = task;
  if (file.bytes > MAX_CONFIG_BYTES) {
    throw new IsthmusError('limit-exceeded', `${file.path} of ${listing.repo} has ${file.bytes} bytes`);
  }
  try {
    return JSON.parse(await readFile(await bringFile(task), 'utf8')) as unknown;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new IsthmusError('bad-model', `${file.path} of ${listing.repo} is not JSON`, { cause });
  }
}

function modelTypeOf(config: unknown): string | undefined {
  if (typeof config !== 'object' || config === null || !('model_type' in config)) return undefined;
  return typeof config.model_type === 'string' ? config.model_type : undefined;
}
