/**
 * Turns bytes that claim to be a manifest into a `Manifest` whose every promise holds. What comes out
 * is a fresh object with the known fields alone; unknown fields are dropped.
 */
import { PHASES, type Phase } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import { checkManifest } from './check-manifest.ts';
import { JsonReader } from './json-reader.ts';
import {
  type AudioInput,
  type Block,
  type Crossing,
  type CrossingTensor,
  type Cut,
  type Generation,
  MANIFEST_FORMAT,
  MANIFEST_VERSION,
  type Manifest,
  type PackageFile,
} from './manifest.ts';
import {
  MAX_BLOCKS,
  MAX_EOS_TOKENS,
  MAX_FILE_BYTES,
  MAX_FILES,
  MAX_MANIFEST_BYTES,
  MAX_NAME_LENGTH,
  MAX_NOTE_LENGTH,
  MAX_NOTES,
  MAX_STAGES,
  MAX_TENSORS,
} from './manifest-limits.ts';
import { affine, graphInput, nameOf, pathOf, readStage } from './parse-stage.ts';
import { readText } from './parse-text.ts';

const SHA256_HEX = /^[0-9a-f]{64}$/;

/**
 * Checks everything that `manifest.ts` says of a manifest. Takes the JSON as text, as UTF-8 bytes or
 * already parsed. Throws `bad-package` (with `details.path`, a JSON path; also for another version)
 * or `limit-exceeded`.
 */
export function parseManifest(json: unknown): Manifest {
  const root = new JsonReader(typeof json === 'string' || json instanceof Uint8Array ? decode(json) : json);
  if (root.field('format').value !== MANIFEST_FORMAT) root.field('format').fail(`is not ${MANIFEST_FORMAT}`);
  const version = root.field('version');
  if (version.value !== MANIFEST_VERSION) {
    version.fail(`is not the version ${MANIFEST_VERSION} that this library reads; import the model again`);
  }
  const tokenizer = root.optional('tokenizer');
  const generation = root.optional('generation');
  const audio = root.optional('audio');
  const text = root.optional('text');
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    version: MANIFEST_VERSION,
    name: nameOf(root.field('name')),
    stages: root.field('stages').items('stages', MAX_STAGES).map(readStage),
    blocks: root.field('blocks').items('blocks', MAX_BLOCKS).map(readBlock),
    cuts: root
      .field('cuts')
      .items('cuts', MAX_BLOCKS + 1)
      .map(readCut),
    files: readFiles(root.field('files')),
    ...(tokenizer && { tokenizer: readTokenizer(tokenizer) }),
    ...(generation && { generation: readGeneration(generation) }),
    ...(audio && { audio: readAudio(audio) }),
    ...(text && { text: readText(text) }),
    notes: root
      .field('notes')
      .items('notes', MAX_NOTES)
      .map((note) => note.string(MAX_NOTE_LENGTH)),
  };
  checkManifest(manifest);
  return manifest;
}

function decode(json: string | Uint8Array): unknown {
  // A string's UTF-8 form is never shorter than its length, so the cheap bound comes first.
  const size = typeof json === 'string' ? json.length : json.byteLength;
  if (size > MAX_MANIFEST_BYTES) new JsonReader(undefined).exceed('bytes', size, MAX_MANIFEST_BYTES);
  try {
    const text = typeof json === 'string' ? json : new TextDecoder('utf-8', { fatal: true }).decode(json);
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new IsthmusError('bad-package', 'the manifest is not JSON', { cause, details: { path: '$' } });
  }
}

function readBlock(reader: JsonReader): Block {
  return {
    index: reader.field('index').integer(0, MAX_BLOCKS),
    stage: reader.field('stage').integer(0, MAX_STAGES),
    shards: reader.field('shards').items('shards', MAX_FILES).map(pathOf),
    weightBytes: reader.field('weightBytes').integer(0),
    nodes: reader.field('nodes').integer(0),
  };
}

function readCut(reader: JsonReader): Cut {
  const crossings: { [phase in Phase]?: Crossing } = {};
  for (const [name, crossing] of reader.field('crossings').entries('phases', PHASES.length)) {
    const phase = PHASES.find((known) => known === name) ?? crossing.fail('is not a phase');
    crossings[phase] = {
      sent: crossing.field('sent').items('tensors', MAX_TENSORS).map(readCrossingTensor),
      recomputed: crossing.field('recomputed').items('tensors', MAX_TENSORS).map(nameOf),
    };
  }
  return { cut: reader.field('cut').integer(0, MAX_BLOCKS), crossings };
}

function readCrossingTensor(reader: JsonReader): CrossingTensor {
  return {
    ...graphInput(reader),
    bytes: affine(reader.field('bytes')),
    lossy: reader.field('lossy').boolean(),
  };
}

function readFiles(reader: JsonReader): Readonly<Record<string, PackageFile>> {
  return Object.fromEntries(
    reader.entries('files', MAX_FILES).map(([path, file]) => {
      const sha256 = file.field('sha256').string(MAX_NAME_LENGTH);
      if (!SHA256_HEX.test(sha256)) file.field('sha256').fail('is not a lower-case hex SHA-256');
      const bytes = file.field('bytes').integer(0);
      if (bytes > MAX_FILE_BYTES) file.field('bytes').exceed('bytes', bytes, MAX_FILE_BYTES);
      return [path, { sha256, bytes }];
    }),
  );
}

function readTokenizer(reader: JsonReader): NonNullable<Manifest['tokenizer']> {
  const config = reader.optional('config');
  return { tokenizer: pathOf(reader.field('tokenizer')), ...(config && { config: pathOf(config) }) };
}

function readGeneration(reader: JsonReader): Generation {
  const bos = reader.optional('bosToken');
  return {
    ...(bos && { bosToken: bos.integer(0) }),
    eosTokens: reader
      .field('eosTokens')
      .items('tokens', MAX_EOS_TOKENS)
      .map((token) => token.integer(0)),
    maxTokens: reader.field('maxTokens').integer(1),
  };
}

function readAudio(reader: JsonReader): AudioInput {
  const rate = reader.field('maxTokensPerSecond').finite();
  if (rate <= 0) reader.field('maxTokensPerSecond').fail('is not above 0');
  return { sampleRate: reader.field('sampleRate').integer(1), maxTokensPerSecond: rate };
}
