/** The `fmt ` chunk of a WAVE file: which samples follow and how one of them is read. */
import { IsthmusError } from '../../errors.ts';

/** Above the largest ambisonic and array recordings; stops a frame of 65,535 channels. */
export const MAX_CHANNELS = 64;

/** Below telephone audio and above the fastest converters on sale (768 kHz). */
export const MIN_SAMPLE_RATE = 1000;
export const MAX_SAMPLE_RATE = 768_000;

const PCM = 1;
const IEEE_FLOAT = 3;
const EXTENSIBLE = 0xfffe;

const BASIC_BYTES = 16;
const EXTENSIBLE_BYTES = 40;

/** What follows the format code in the sub-format GUID of every format that plain WAVE also has. */
const GUID_TAIL = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

export interface SampleFormat {
  readonly encoding: 'pcm' | 'float';
  readonly channels: number;
  /** Hz. */
  readonly sampleRate: number;
  readonly sampleBytes: number;
  /** One sample as a number, nominally -1..1. */
  readonly read: (data: DataView, offset: number) => number;
}

export function formatName(format: SampleFormat): string {
  return `${format.sampleBytes * 8}-bit ${format.encoding}`;
}

/** 8-bit PCM alone is unsigned, with its zero at 128. */
const PCM_READERS: Readonly<Record<number, SampleFormat['read']>> = {
  1: (data, at) => (data.getUint8(at) - 128) / 128,
  2: (data, at) => data.getInt16(at, true) / 2 ** 15,
  3: (data, at) => (data.getUint16(at, true) + data.getInt8(at + 2) * 2 ** 16) / 2 ** 23,
  4: (data, at) => data.getInt32(at, true) / 2 ** 31,
};

const FLOAT_READERS: Readonly<Record<number, SampleFormat['read']>> = {
  4: (data, at) => data.getFloat32(at, true),
};

function bad(message: string): IsthmusError {
  return new IsthmusError('bad-input', `not a readable WAV file: ${message}`);
}

/** Extensible files name their real format in a GUID. */
function encodingOf(body: DataView): number {
  const code = body.getUint16(0, true);
  if (code !== EXTENSIBLE) return code;
  if (body.byteLength < EXTENSIBLE_BYTES) throw bad('its extensible format chunk is cut off');
  const foreign = GUID_TAIL.some((byte, index) => body.getUint8(26 + index) !== byte);
  if (foreign) throw bad('its sub-format is unknown');
  return body.getUint16(24, true);
}

/** Throws `bad-input` for formats that are compressed, inconsistent or out of bounds. */
export function readFormat(body: DataView): SampleFormat {
  if (body.byteLength < BASIC_BYTES) throw bad('its format chunk is cut off');
  const code = encodingOf(body);
  if (code !== PCM && code !== IEEE_FLOAT) throw bad(`its encoding (${code}) is neither PCM nor float`);
  const encoding = code === PCM ? 'pcm' : 'float';

  const channels = body.getUint16(2, true);
  if (channels < 1 || channels > MAX_CHANNELS) throw bad(`it has ${channels} channels`);
  const sampleRate = body.getUint32(4, true);
  if (sampleRate < MIN_SAMPLE_RATE || sampleRate > MAX_SAMPLE_RATE) throw bad(`its rate is ${sampleRate} Hz`);

  // Samples are kept in whole bytes, left-justified: the container is what is read, so 20 valid
  // bits in 24 come out right.
  const sampleBytes = body.getUint16(12, true) / channels;
  const bits = body.getUint16(14, true);
  const read = (encoding === 'pcm' ? PCM_READERS : FLOAT_READERS)[sampleBytes];
  if (read === undefined || Math.ceil(bits / 8) !== sampleBytes) {
    throw bad(`${bits}-bit ${encoding} samples of ${sampleBytes} bytes are not supported`);
  }
  return { encoding, channels, sampleRate, sampleBytes, read };
}
