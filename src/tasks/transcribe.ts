/** Speech to text over a session. */
import { nextTask } from '../core/macrotask.ts';
import { roundToPcm16 } from '../core/pcm16.ts';
import { float32Tensor, type TensorMap } from '../core/tensor.ts';
import { IsthmusError, throwIfAborted } from '../errors.ts';
import type { AudioInput, Manifest, OnceStage } from '../package/manifest.ts';
import { goalFields } from '../session/planning.ts';
import type { RequestReport, Session, TranscribeOptions, Transcript } from '../session/types.ts';
import { resampleInPieces } from './audio/resample.ts';
import { splitAtQuiet } from './audio/split-quiet.ts';
import type { TokenDecoder } from './token-reader.ts';
import { type Reading, whileReading } from './while-reading.ts';

/** Seconds. Speech models are trained on clips of up to half a minute and ramble beyond. */
const DEFAULT_PIECE_SECONDS = 20;

/** Seconds. Shorter sound is followed by silence: a convolutional front end needs some length. */
const MIN_PIECE_SECONDS = 0.5;

/** Two hours. More than a page can hold beside a model; split the recording instead. */
export const MAX_AUDIO_SECONDS = 7_200;

/** One step of a 16-bit recording: what never exceeds it is digital silence, and its text is empty. */
const SILENCE_PEAK = 1 / 32_768;

/**
 * The words in `audio` (mono, -1..1; heard in 16 bits). Long audio is cut at quiet places and runs piece by piece.
 *
 * Throws `bad-input` (no samples, or samples that are no numbers), `input-too-long`, `bad-package` (not a
 * speech package), and what `Session.run` throws.
 */
export async function transcribe(
  session: Session,
  audio: Float32Array,
  options: TranscribeOptions = {},
): Promise<Transcript> {
  const { input } = speechModel(session.manifest);
  const rate = options.sampleRate ?? input.sampleRate;
  checkAudio(audio, rate);
  throwIfAborted(options.signal);
  const reading = whileReading(session, options.signal, options);
  try {
    return await transcribeBy(reading, session, audio, options);
  } finally {
    reading.over();
  }
}

async function transcribeBy(
  reading: Reading,
  session: Session,
  audio: Float32Array,
  options: TranscribeOptions,
): Promise<Transcript> {
  const { stage, input } = speechModel(session.manifest);
  const rate = options.sampleRate ?? input.sampleRate;
  const samples = await resampleInPieces(audio, rate, input.sampleRate, nextTask);
  const maxSeconds = options.pieceSeconds ?? DEFAULT_PIECE_SECONDS;
  const tokens: number[] = [];
  const texts: string[] = [];
  const reports: RequestReport[] = [];
  for (const piece of splitAtQuiet(samples, { sampleRate: input.sampleRate, maxSeconds })) {
    throwIfAborted(options.signal);
    if (isSilent(piece)) continue;
    const mine: number[] = [];
    const { onText } = options;
    let told = 0;
    // Text is made only for who reads it along the way.
    const say = (decoder: TokenDecoder, heard: readonly number[]): void => {
      if (onText === undefined || heard.length <= told) return;
      told = heard.length;
      onText(joined([...texts, decoder.decode(heard)]));
    };
    const inputs = pieceInput(stage, piece, input);
    // To look through 7 s of sound and to send it took 20 ms of the page's thread at once.
    await nextTask();
    const running = session.run({
      inputs,
      maxTokens: Math.max(1, Math.ceil((piece.length / input.sampleRate) * input.maxTokensPerSecond)),
      onToken: (token) => {
        mine.push(token);
        if (onText === undefined) return;
        const heard = [...mine];
        reading.hear(heard, (decoder) => say(decoder, heard));
      },
      ...(options.plan === undefined ? {} : { plan: options.plan }),
      ...(options.hedge === undefined ? {} : { hedge: options.hedge }),
      ...goalFields(options),
      signal: reading.signal,
    });
    const { report } = await reading.orFailed(running);
    const decoder = await reading.orFailed(reading.of(mine));
    say(decoder, mine);
    tokens.push(...mine);
    texts.push(decoder.decode(mine));
    reports.push(report);
  }
  return { text: joined(texts), tokens, reports };
}

function speechModel(manifest: Manifest): { stage: OnceStage; input: AudioInput } {
  const [stage] = manifest.stages;
  if (stage?.kind !== 'once' || manifest.audio === undefined) {
    throw new IsthmusError(
      'bad-package',
      `'${manifest.name}' is not a speech package: import it with --sample-rate`,
    );
  }
  return { stage, input: manifest.audio };
}

function checkAudio(audio: Float32Array, rate: number): void {
  if (!Number.isFinite(rate) || rate <= 0) {
    throw new IsthmusError('bad-option', `${rate} Hz is no sample rate`);
  }
  if (audio.length === 0) throw new IsthmusError('bad-input', 'the audio has no samples');
  if (audio.length / rate > MAX_AUDIO_SECONDS) {
    throw new IsthmusError(
      'input-too-long',
      `audio longer than ${MAX_AUDIO_SECONDS} s must be split by the caller`,
    );
  }
  // A plain loop, as in `core/pcm16.ts`.
  for (let index = 0; index < audio.length; index += 1) {
    if (Number.isFinite(audio[index])) continue;
    throw new IsthmusError('bad-input', `sample ${index} of the audio is not a number`);
  }
}

function isSilent(piece: Float32Array): boolean {
  return piece.every((sample) => Math.abs(sample) <= SILENCE_PEAK);
}

function pieceInput(stage: OnceStage, piece: Float32Array, { sampleRate }: AudioInput): TensorMap {
  const shortest = Math.ceil(MIN_PIECE_SECONDS * sampleRate);
  // What recordings are made of, under every plan alike: it crosses in half the bytes then, and no plan hears another one.
  const heard = roundToPcm16(piece);
  let samples = heard;
  if (heard.length < shortest) {
    samples = new Float32Array(shortest);
    samples.set(heard);
  }
  const { input, axis } = stage.extent;
  const rank = stage.inputs.find((value) => value.name === input)?.dims.length ?? 2;
  const dims = Array.from({ length: rank }, (_, index) => (index === axis ? samples.length : 1));
  return { [input]: float32Tensor(samples, dims) };
}

function joined(texts: readonly string[]): string {
  return texts
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .join(' ');
}
