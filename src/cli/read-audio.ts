/** Audio files as mono samples at a model's rate. */
import { readFile } from 'node:fs/promises';
import { IsthmusError } from '../errors.ts';
import { resample } from '../tasks/audio/resample.ts';
import { decodeWav } from '../tasks/audio/wav.ts';

/**
 * WAV at any rate, or `.raw`: headerless signed 16-bit little-endian mono at the model's own rate.
 * Throws `bad-input` for anything else and for files that cannot be read.
 */
export async function readAudio(path: string, sampleRate: number): Promise<Float32Array> {
  let file: Buffer;
  try {
    file = await readFile(path);
  } catch (cause) {
    throw new IsthmusError('bad-input', `cannot read '${path}': is the path right?`, { cause });
  }
  if (path.toLowerCase().endsWith('.raw')) return readRaw(path, file);
  const wav = decodeWav(file);
  const samples = resample(wav.samples, wav.sampleRate, sampleRate);
  if (samples.length === 0) throw new IsthmusError('bad-input', `'${path}' holds no audio`);
  return samples;
}

function readRaw(path: string, file: Buffer): Float32Array {
  if (file.byteLength === 0 || file.byteLength % 2 !== 0) {
    throw new IsthmusError(
      'bad-input',
      `'${path}' is no headerless 16-bit audio: it has ${file.byteLength} bytes`,
    );
  }
  return Float32Array.from({ length: file.byteLength / 2 }, (_, i) => file.readInt16LE(2 * i) / 32_768);
}
