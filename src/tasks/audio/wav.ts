/**
 * Reads RIFF/WAVE files into mono samples. Browsers have `decodeAudioData`, but it resamples and
 * dithers by its own rules; one reader for both platforms gives the same samples everywhere.
 * Layout: Microsoft, "Multiple Channel Audio Data and WAVE Files" (WAVEFORMATEXTENSIBLE).
 */
import { IsthmusError } from '../../errors.ts';
import { formatName, readFormat, type SampleFormat } from './wav-format.ts';

/** 1 GiB: an hour and a half of 48 kHz stereo, 16-bit; stops a file that cannot fit in memory. */
export const MAX_WAV_BYTES = 2 ** 30;

/** Real files have a handful; stops a file made of nothing but empty chunks. */
export const MAX_WAV_CHUNKS = 4096;

/** A size of all ones is written by tools that stream and never learn the length: it means "the rest". */
const UNKNOWN_SIZE = 0xffff_ffff;

const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;

export interface WavAudio {
  /** Mono, nominally -1..1 (float files may exceed that); the mean of all channels. */
  readonly samples: Float32Array;
  /** Hz. */
  readonly sampleRate: number;
}

function bad(message: string): IsthmusError {
  return new IsthmusError('bad-input', `not a readable WAV file: ${message}`);
}

function tag(view: DataView, offset: number): string {
  return String.fromCharCode(
    view.getUint8(offset),
    view.getUint8(offset + 1),
    view.getUint8(offset + 2),
    view.getUint8(offset + 3),
  );
}

/**
 * PCM of 8, 16, 24 or 32 bits and 32-bit float, plain or extensible, any number of channels.
 * Throws `bad-input` for anything truncated, foreign, compressed or with samples that are not
 * numbers, and `input-too-long` above `MAX_WAV_BYTES`.
 */
export function decodeWav(file: Uint8Array | ArrayBuffer): WavAudio {
  const bytes = file instanceof Uint8Array ? file : new Uint8Array(file);
  if (bytes.byteLength > MAX_WAV_BYTES) {
    throw new IsthmusError('input-too-long', `a WAV file may have ${MAX_WAV_BYTES} bytes at most`, {
      details: { bytes: bytes.byteLength, limit: MAX_WAV_BYTES },
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < RIFF_HEADER_BYTES || tag(view, 0) !== 'RIFF' || tag(view, 8) !== 'WAVE') {
    throw bad('it does not begin with RIFF....WAVE');
  }
  const { format, data } = findChunks(view);
  const frames = data.byteLength / (format.channels * format.sampleBytes);
  if (!Number.isInteger(frames)) throw bad('its data ends in the middle of a sample');
  return { samples: mixToMono(data, format, frames), sampleRate: format.sampleRate };
}

/** The first `fmt ` and the `data` after it; unknown chunks are skipped. The RIFF size is not trusted. */
function findChunks(view: DataView): { format: SampleFormat; data: DataView } {
  let format: SampleFormat | undefined;
  let offset = RIFF_HEADER_BYTES;
  for (let count = 0; offset + CHUNK_HEADER_BYTES <= view.byteLength; count += 1) {
    if (count === MAX_WAV_CHUNKS) throw bad(`it has more than ${MAX_WAV_CHUNKS} chunks`);
    const name = tag(view, offset);
    const stated = view.getUint32(offset + 4, true);
    const start = offset + CHUNK_HEADER_BYTES;
    const room = view.byteLength - start;
    const size = name === 'data' && stated === UNKNOWN_SIZE ? room : stated;
    if (size > room) throw bad(`its "${name}" chunk is cut off`);
    const body = new DataView(view.buffer, view.byteOffset + start, size);
    if (name === 'fmt ' && format === undefined) format = readFormat(body);
    if (name === 'data') {
      if (format === undefined) throw bad('its data comes before its format');
      return { format, data: body };
    }
    // Chunks are padded to an even length; the pad byte is not counted in the size.
    offset = start + size + (size % 2);
  }
  throw bad(format === undefined ? 'it has no format chunk' : 'it has no data chunk');
}

function mixToMono(data: DataView, format: SampleFormat, frames: number): Float32Array {
  const { channels, sampleBytes, read } = format;
  const samples = new Float32Array(frames);
  let offset = 0;
  for (let frame = 0; frame < frames; frame += 1) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel += 1) {
      sum += read(data, offset);
      offset += sampleBytes;
    }
    const mean = sum / channels;
    if (!Number.isFinite(mean)) throw bad(`a ${formatName(format)} sample is not a finite number`);
    samples[frame] = mean;
  }
  return samples;
}
