#!/usr/bin/env node
/**
 * Makes the demo's example utterances with espeak-ng, as listed in `public/utterances/index.json`:
 * 16 kHz, 16-bit, mono. The results are committed; run this only after editing the list, and after
 * `npm run build`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeWav, resample } from 'isthmus';

const RATE = 16_000;
const VOICE = ['-v', 'en-us+f3', '-s', '190', '-g', '1'];
const folder = fileURLToPath(new URL('public/utterances/', import.meta.url));

/** The plainest WAV header: 44 bytes, PCM, one channel. */
function encodeWav(samples) {
  const file = Buffer.alloc(44 + samples.length * 2);
  file.write('RIFF', 0);
  file.writeUInt32LE(36 + samples.length * 2, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(RATE, 24);
  file.writeUInt32LE(RATE * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36);
  file.writeUInt32LE(samples.length * 2, 40);
  samples.forEach((value, index) => {
    file.writeInt16LE(Math.round(Math.max(-1, Math.min(1, value)) * 32767), 44 + index * 2);
  });
  return file;
}

const temporary = mkdtempSync(join(tmpdir(), 'utterances-'));
try {
  for (const { file, words } of JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))) {
    const spoken = join(temporary, file);
    execFileSync('espeak-ng', [...VOICE, '-w', spoken, words]);
    const { samples, sampleRate } = decodeWav(readFileSync(spoken));
    const output = encodeWav(resample(samples, sampleRate, RATE));
    writeFileSync(join(folder, file), output);
    console.log(`${file}: ${output.length} bytes`);
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
