/** What is transcribed: real speech where it is installed, else the demo's spoken examples. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeWav, resample } from 'isthmus';

/** Debian's `pocketsphinx-testdata`: read English and spoken playing cards. */
const SPHINX = '/usr/share/pocketsphinx/test/data';
const FOLDERS = ['librivox', 'cards'];

/**
 * @typedef {object} Recording
 * @property {string} name
 * @property {Float32Array} samples mono, -1..1, at the rate asked for
 * @property {number} seconds
 */

/** @returns {Promise<{ recordings: Recording[], source: string }>} shortest first */
export async function findRecordings(root, sampleRate) {
  const installed = FOLDERS.map((name) => join(SPHINX, name)).filter((folder) => existsSync(folder));
  const folders = installed.length > 0 ? installed : [join(root, 'demo/public/utterances')];
  const recordings = [];
  for (const folder of folders) {
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.wav')).sort()) {
      const wav = decodeWav(await readFile(join(folder, file)));
      const samples = resample(wav.samples, wav.sampleRate, sampleRate);
      recordings.push({ name: shortName(folder, file), samples, seconds: samples.length / sampleRate });
    }
  }
  recordings.sort((a, b) => a.seconds - b.seconds);
  return { recordings, source: installed.length > 0 ? 'pocketsphinx-testdata' : "the demo's utterances" };
}

function shortName(folder, file) {
  const stem = file.replace(/\.wav$/, '').replace(/^.*64kb-/, '');
  return `${folder.slice(folder.lastIndexOf('/') + 1)}/${stem}`;
}
