/** A file that the user picks, or an example of ours, as mono samples. */
import { decodeWav } from 'isthmus';
import type { Recording } from './recorder.ts';

/** Ten minutes of 48 kHz stereo, 16-bit: far more than the demo is for, far less than a tab holds. */
const MAX_FILE_BYTES = 128 * 2 ** 20;

/** Any rate will do for formats that only the browser reads: it resamples as it decodes. */
const BROWSER_RATE = 16_000;

/** A file that is not sound, in the words of `problems.ts`. */
export class UnreadableFile extends Error {}

export async function readAudioFile(file: Blob): Promise<Recording> {
  if (file.size > MAX_FILE_BYTES) throw new UnreadableFile('The file is larger than 128 MB.');
  const bytes = new Uint8Array(await file.arrayBuffer());
  const head = String.fromCharCode(...bytes.subarray(0, 4));
  // The library reads WAV itself, so that a page and a server hear the same samples.
  if (head === 'RIFF') return decodeWav(bytes);
  try {
    const decoded = await new OfflineAudioContext(1, 1, BROWSER_RATE).decodeAudioData(bytes.buffer);
    return { samples: mixDown(decoded), sampleRate: decoded.sampleRate };
  } catch {
    throw new UnreadableFile('This browser cannot read the file as sound.');
  }
}

function mixDown(buffer: AudioBuffer): Float32Array {
  const samples = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const data = buffer.getChannelData(channel);
    for (let index = 0; index < samples.length; index += 1) {
      samples[index] = (samples[index] ?? 0) + (data[index] ?? 0) / buffer.numberOfChannels;
    }
  }
  return samples;
}

export interface Utterance {
  readonly file: string;
  readonly words: string;
}

const FOLDER = 'utterances/';

async function load(path: string): Promise<Response> {
  const response = await fetch(new URL(FOLDER + path, document.baseURI));
  if (!response.ok) throw new UnreadableFile(`The server answered ${response.status} for an example.`);
  return response;
}

export async function listUtterances(): Promise<Utterance[]> {
  return (await load('index.json')).json();
}

export async function readUtterance(utterance: Utterance): Promise<Recording> {
  return readAudioFile(await (await load(utterance.file)).blob());
}
