/** Speech to text on a real model, all on this device: pieces, rates, silence and what is refused. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { type OpenedPackage, openPackage } from '../../src/package/node/open-package.ts';
import type { Session } from '../../src/session/types.ts';
import { resample } from '../../src/tasks/audio/resample.ts';
import { splitAtQuiet } from '../../src/tasks/audio/split-quiet.ts';
import { decodeWav } from '../../src/tasks/audio/wav.ts';
import { MAX_AUDIO_SECONDS, transcribe } from '../../src/tasks/transcribe.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { importedPackage } from '../fixtures/packages.ts';
import { open, rejection, until } from '../session/with-session.ts';

const RATE = 16_000;
const UTTERANCES = ['time.wav', 'coffee.wav', 'morning.wav', 'window.wav'];

/** Ten minutes take minutes to run: on demand. */
const LONG_SECONDS = process.env.ISTHMUS_LONG === '1' ? 600 : 90;

let pkg: OpenedPackage;
let voices: Float32Array[];

beforeAll(async () => {
  pkg = await openPackage(await importedPackage('moonshine-tiny-q8'));
  voices = await Promise.all(
    UTTERANCES.map(async (file) => {
      const url = new URL(`../../demo/public/utterances/${file}`, import.meta.url);
      const { samples, sampleRate } = decodeWav(await readFile(url));
      return resample(samples, sampleRate, RATE);
    }),
  );
});

const here = async () => (await open(pkg, { plan: 'local' })).session;

/** Counts what a session is asked to run. */
function counted(session: Session) {
  let runs = 0;
  const watched: Session = {
    manifest: session.manifest,
    provider: session.provider,
    threads: session.threads,
    run: (options) => {
      runs += 1;
      return session.run(options);
    },
    readFile: (path) => session.readFile(path),
    explain: (workload) => session.explain(workload),
    prefetch: (options) => session.prefetch(options),
    runText: (options) => session.runText(options),
    moveText: (plan) => session.moveText(plan),
    close: () => session.close(),
  };
  return { watched, runs: () => runs };
}

/** The voices one after another with a pause between them, until there are `seconds`. */
function talk(seconds: number): Float32Array {
  const audio = new Float32Array(seconds * RATE);
  const pause = Math.round(0.6 * RATE);
  let at = 0;
  for (let turn = 0; at < audio.length; turn += 1) {
    const voice = voices[turn % voices.length] ?? new Float32Array(1);
    audio.set(voice.subarray(0, Math.max(0, audio.length - at)), at);
    at += voice.length + pause;
  }
  return audio;
}

describe('long audio', () => {
  it('gives the text of its pieces, each as it is alone', async () => {
    const session = await here();
    const audio = talk(LONG_SECONDS);
    const heard: string[] = [];
    const whole = await transcribe(session, audio, { onText: (text) => heard.push(text) });
    const pieces = splitAtQuiet(audio, { sampleRate: RATE, maxSeconds: 20 });
    expect(pieces.length).toBeGreaterThan(LONG_SECONDS / 20 - 1);
    const alone: string[] = [];
    const tokens: number[] = [];
    for (const piece of pieces) {
      const one = await transcribe(session, piece);
      alone.push(one.text);
      tokens.push(...one.tokens);
    }
    expect(whole.text).toBe(alone.filter((text) => text !== '').join(' '));
    expect(whole.tokens).toEqual(tokens);
    expect(whole.reports.length).toBe(alone.filter((text) => text !== '').length);
    // Text only grows, but for the last word, whose bytes may be on the way.
    expect(heard.at(-1)).toBe(whole.text);
    for (const text of heard) {
      const settled = text.split(' ').slice(0, -1).join(' ');
      expect(whole.text.startsWith(settled)).toBe(true);
    }
    const words = (text: string) => text.toLowerCase().replace(/[^a-z ]/g, '');
    const single = await transcribe(session, voices[0] ?? new Float32Array(1));
    expect(words(whole.text)).toContain(words(single.text).split(' ').slice(1, 4).join(' '));
  });
});

describe('the tokenizer', () => {
  it('comes while the first tokens are made, and then reads all of them', async () => {
    const session = await here();
    const voice = voices[0] ?? new Float32Array(1);
    const { watched, runs } = counted(session);
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    watched.readFile = async (path) => {
      await held;
      return session.readFile(path);
    };
    const heard: string[] = [];
    const running = transcribe(watched, voice, { onText: (text) => heard.push(text) });
    await until(() => runs() === 1);
    letGo();
    const { text } = await running;
    expect(text).toBe((await transcribe(session, voice)).text);
    expect(heard.at(-1)).toBe(text);
  });

  it.each(['endpoint-lost', 'bad-package'] as const)(
    'that cannot be had ends what runs, and says why: %s',
    async (code) => {
      const session = await here();
      const { watched } = counted(session);
      watched.readFile = () => Promise.reject(new IsthmusError(code, 'gone'));
      const error = await rejection(transcribe(watched, voices[0] ?? new Float32Array(1)));
      expect(error).toMatchObject({ code, message: 'gone' });
      // The session goes on.
      expect((await transcribe(session, voices[0] ?? new Float32Array(1))).text).not.toBe('');
    },
  );
});

describe('what is heard', () => {
  it('is the same at other sample rates, whether they divide evenly or not', async () => {
    const session = await here();
    const voice = voices[0] ?? new Float32Array(1);
    const { text } = await transcribe(session, voice);
    expect(text.length).toBeGreaterThan(10);
    for (const sampleRate of [48_000, 44_100]) {
      const other = await transcribe(session, resample(voice, RATE, sampleRate), { sampleRate });
      expect(other.text, `${sampleRate} Hz`).toBe(text);
    }
    // Half of the band is gone: words may differ, and there are some.
    const narrow = await transcribe(session, resample(voice, RATE, 8_000), { sampleRate: 8_000 });
    expect(narrow.text).not.toBe('');
  });

  it('is nothing in silence, and that costs no request', async () => {
    const { watched, runs } = counted(await here());
    for (const audio of [new Float32Array(RATE), new Float32Array(1), new Float32Array(45 * RATE)]) {
      expect(await transcribe(watched, audio)).toEqual({ text: '', tokens: [], reports: [] });
    }
    expect(runs()).toBe(0);
  });

  it('may be as short as 10 ms', async () => {
    const { watched, runs } = counted(await here());
    const voice = voices[0] ?? new Float32Array(1);
    for (const length of [1, RATE / 100, RATE / 10]) {
      const { reports, tokens } = await transcribe(watched, voice.subarray(RATE, RATE + length));
      expect(reports).toHaveLength(1);
      expect(tokens.length).toBeLessThanOrEqual(10);
    }
    expect(runs()).toBe(3);
  });

  it('is asked for where there is sound alone', async () => {
    const { watched, runs } = counted(await here());
    const voice = voices[1] ?? new Float32Array(1);
    const audio = new Float32Array(100 * RATE);
    audio.set(voice, 98 * RATE - voice.length);
    const pieces = splitAtQuiet(audio, { sampleRate: RATE, maxSeconds: 20 });
    const loud = pieces.filter((piece) => piece.some((sample) => sample !== 0)).length;
    const { reports } = await transcribe(watched, audio);
    expect(loud).toBeLessThan(pieces.length);
    expect(runs()).toBe(loud);
    expect(reports).toHaveLength(loud);
  });
});

describe('what is refused', () => {
  it('costs no request', async () => {
    const { watched, runs } = counted(await here());
    const bad = async (audio: Float32Array, code: string, options = {}) =>
      expect(await rejection(transcribe(watched, audio, options))).toMatchObject({ code });
    await bad(new Float32Array(0), 'bad-input');
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const audio = new Float32Array(RATE);
      audio[RATE - 1] = value;
      await bad(audio, 'bad-input');
    }
    for (const sampleRate of [0, -16_000, Number.NaN, Infinity]) {
      await bad(new Float32Array(10), 'bad-option', { sampleRate });
    }
    await bad(new Float32Array(MAX_AUDIO_SECONDS + 1), 'input-too-long', { sampleRate: 1 });
    await bad(voices[0] ?? new Float32Array(1), 'aborted', { signal: AbortSignal.abort() });
    await bad(talk(30), 'bad-option', { pieceSeconds: 0 });
    expect(runs()).toBe(0);
  });

  it('is a package that is not for speech', async () => {
    const { session } = await open(await onDisk(await importSpeech()));
    expect(await rejection(transcribe(session, new Float32Array(10)))).toMatchObject({ code: 'bad-package' });
  });

  it('is the rest of the audio after an abort', async () => {
    const { watched, runs } = counted(await here());
    const abort = new AbortController();
    const texts: string[] = [];
    const work = transcribe(watched, talk(60), {
      signal: abort.signal,
      onText: (text) => {
        texts.push(text);
        if (texts.length === 3) abort.abort();
      },
    });
    expect(await rejection(work)).toMatchObject({ code: 'aborted' });
    expect(texts).toHaveLength(3);
    expect(runs()).toBe(1);
  });
});
