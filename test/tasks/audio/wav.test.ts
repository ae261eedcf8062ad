import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../../src/errors.ts';
import { decodeWav, MAX_WAV_CHUNKS } from '../../../src/tasks/audio/wav.ts';
import { RECORDINGS } from '../../fixtures/recordings.ts';
import { ascii, chunk, extensible, type FormatFields, format, join, little, riff, wav } from './wav-bytes.ts';

const badInput = expect.objectContaining({ name: 'IsthmusError', code: 'bad-input' });

function samplesOf(fields: FormatFields, data: Uint8Array): number[] {
  return [...decodeWav(wav(fields, data)).samples];
}

describe('decodeWav', () => {
  it.each([
    ['8-bit', { bits: 8 }, Uint8Array.of(0, 128, 255, 192), [-1, 0, 127 / 128, 0.5]],
    [
      '16-bit',
      {},
      join(little(0x8000, 2), little(0, 2), little(0x7fff, 2), little(0xffff, 2)),
      [-1, 0, 32767 / 32768, -1 / 32768],
    ],
    [
      '24-bit',
      { bits: 24 },
      join(little(0x800000, 3), little(0x400000, 3), little(0xffffff, 3)),
      [-1, 0.5, -1 / 2 ** 23],
    ],
    ['32-bit', { bits: 32 }, join(little(0x80000000, 4), little(0x40000000, 4)), [-1, 0.5]],
    ['float', { code: 3, bits: 32 }, new Uint8Array(Float32Array.of(-1.5, 0.25).buffer), [-1.5, 0.25]],
  ] as const)('reads %s samples', (_, fields, data, expected) => {
    expect(samplesOf(fields, data)).toEqual(expected.map(Math.fround));
  });

  it('mixes channels to their mean', () => {
    const frame = join(little(0x4000, 2), little(0, 2), little(0xc000, 2), little(0x2000, 2));
    expect(samplesOf({ channels: 4 }, join(frame, frame))).toEqual([0.0625, 0.0625]);
  });

  it('reads extensible formats', () => {
    const file = riff(chunk('fmt ', extensible({ bits: 24 }, 1)), chunk('data', little(0x400000, 3)));
    expect([...decodeWav(file).samples]).toEqual([0.5]);
  });

  it('reads 20 valid bits in a container of 24', () => {
    expect(samplesOf({ bits: 20, blockAlign: 3 }, little(0x400000, 3))).toEqual([0.5]);
  });

  it('skips chunks that it does not know, odd ones with their padding', () => {
    const file = riff(
      chunk('JUNK', Uint8Array.of(1, 2, 3)),
      chunk('fmt ', format()),
      chunk('LIST', new Uint8Array(5)),
      chunk('data', little(0x4000, 2)),
      ascii('trailing'),
    );
    expect(decodeWav(file)).toEqual({ samples: Float32Array.of(0.5), sampleRate: 16_000 });
  });

  it('reads a view into a larger buffer, and an ArrayBuffer', () => {
    const file = wav({ bits: 8 }, Uint8Array.of(192));
    const around = join(Uint8Array.of(9, 9, 9), file, Uint8Array.of(9));
    expect([...decodeWav(around.subarray(3, 3 + file.length)).samples]).toEqual([0.5]);
    expect([...decodeWav(file.slice().buffer).samples]).toEqual([0.5]);
  });

  it('takes the rest of the file as data when a streaming writer left the size open', () => {
    const file = riff(chunk('fmt ', format()), chunk('data', little(0x4000, 2), 0xffffffff));
    expect([...decodeWav(file).samples]).toEqual([0.5]);
  });

  it('reads a file without a single sample', () => {
    expect(samplesOf({}, new Uint8Array())).toEqual([]);
  });

  const good = chunk('fmt ', format());
  it.each([
    ['nothing', new Uint8Array()],
    ['another format', ascii('OggS and so on, long enough')],
    ['big-endian RIFX', join(ascii('RIFX'), wav({}, new Uint8Array(2)).subarray(4))],
    ['no format', riff(chunk('data', new Uint8Array(2)))],
    ['no data', riff(good)],
    ['data before format', riff(chunk('data', new Uint8Array(2)), good)],
    ['a short format', riff(chunk('fmt ', format().subarray(0, 14)), chunk('data', new Uint8Array(2)))],
    ['data that is cut off', riff(good, chunk('data', new Uint8Array(2), 4))],
    ['a chunk that claims 4 GiB', riff(chunk('LIST', new Uint8Array(2), 0xfffffffe), good)],
    ['half a sample', wav({}, new Uint8Array(3))],
    ['half a frame', wav({ channels: 2 }, new Uint8Array(6))],
    ['no channels', wav({ channels: 0, blockAlign: 2 }, new Uint8Array(2))],
    ['65 channels', wav({ channels: 65 }, new Uint8Array(130))],
    ['a rate of 0', wav({ sampleRate: 0 }, new Uint8Array(2))],
    ['a rate of 4 GHz', wav({ sampleRate: 4_000_000_000 }, new Uint8Array(2))],
    ['a-law', wav({ code: 6, bits: 8 }, new Uint8Array(2))],
    ['16-bit float', wav({ code: 3 }, new Uint8Array(2))],
    ['a block of 0 bytes', wav({ blockAlign: 0 }, new Uint8Array(2))],
    ['bits that do not fit the block', wav({ bits: 16, blockAlign: 3 }, new Uint8Array(3))],
    [
      'a short extensible format',
      riff(chunk('fmt ', format({ code: 0xfffe })), chunk('data', new Uint8Array(2))),
    ],
    [
      'an unknown sub-format',
      riff(chunk('fmt ', extensible({}, 1, new Uint8Array(14))), chunk('data', new Uint8Array(2))),
    ],
    ['infinity', wav({ code: 3, bits: 32 }, new Uint8Array(Float32Array.of(Infinity).buffer))],
    ['NaN', wav({ code: 3, bits: 32 }, new Uint8Array(Float32Array.of(NaN).buffer))],
    [
      'endless empty chunks',
      riff(...Array.from({ length: MAX_WAV_CHUNKS + 1 }, () => chunk('JUNK', new Uint8Array())), good),
    ],
  ])('refuses %s', (_, file) => {
    expect(() => decodeWav(file)).toThrow(badInput);
  });

  it('gives back 16-bit samples in any number of channels', () => {
    const samples = fc.array(fc.integer({ min: -32768, max: 32767 }), { maxLength: 64 });
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 8 }), (values, channels) => {
        const data = join(...values.flatMap((value) => Array(channels).fill(little(value & 0xffff, 2))));
        expect(samplesOf({ channels }, data)).toEqual(values.map((value) => value / 32768));
      }),
    );
  });

  it('reads or refuses any bytes, and throws nothing else', () => {
    const file = join(...[wav({}, new Uint8Array(8)), new Uint8Array(16)]);
    const edits = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { maxLength: 6 });
    let refused = 0;
    fc.assert(
      fc.property(edits, fc.nat(file.length), (changes, length) => {
        const bytes = file.slice(0, length);
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        try {
          const { samples, sampleRate } = decodeWav(bytes);
          expect(samples.every(Number.isFinite) && sampleRate > 0).toBe(true);
        } catch (error) {
          refused += 1;
          if (!isIsthmusError(error) || error.code !== 'bad-input') throw error;
        }
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(0);
  });
});

describe('recordings', () => {
  it.for(RECORDINGS)('$name is speech of a believable length', (recording, { skip }) => {
    if (recording.missing !== undefined) skip(recording.missing);
    const samples = recording.samples();
    expect(samples.length / 16_000).toBeGreaterThan(0.5);
    expect(samples.length / 16_000).toBeLessThan(10);
    const loudest = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(loudest).toBeGreaterThan(0.02);
    // A band-limited copy may swing a little past full scale between the samples that it is made of.
    expect(loudest).toBeLessThan(1.2);
  });
});
