/** The lower part of the page: sources of sound, the text as it comes, cancelling, problems. */
import type { Transcript } from 'isthmus';
import { listUtterances, readAudioFile, readUtterance } from './audio-file.ts';
import { element, html } from './dom.ts';
import { milliseconds } from './format.ts';
import { describeProblem } from './problems.ts';
import {
  MAX_RECORD_SECONDS,
  type Recorder,
  type Recording,
  startRecording,
  whyNoMicrophone,
} from './recorder.ts';

export type Run = (
  recording: Recording,
  onText: (text: string) => void,
  signal: AbortSignal,
) => Promise<Transcript>;

/** `idle` takes new sound; in the other states only stopping or cancelling does something. */
type State = 'closed' | 'idle' | 'recording' | 'working';

const INVITATION = 'Say something, and the words appear here.';

export class SpeechPanel {
  readonly #said = element('said', HTMLElement);
  readonly #outcome = element('outcome', HTMLElement);
  readonly #record = element('record', HTMLButtonElement);
  readonly #recordLabel = element('record-label', HTMLElement);
  readonly #cancel = element('cancel', HTMLButtonElement);
  readonly #open = element('open', HTMLInputElement);
  readonly #openLabel = element('open-label', HTMLElement);
  readonly #problem = element('problem', HTMLElement);
  readonly #retry = element('retry', HTMLButtonElement);
  readonly #examples = element('utterances', HTMLElement);
  readonly #noMicrophone = whyNoMicrophone();
  readonly #run: Run;
  #state: State = 'closed';
  #recorder: Recorder | undefined;
  #abort: AbortController | undefined;

  constructor(run: Run) {
    this.#run = run;
    this.#say('');
    element('record-note', HTMLElement).textContent = this.#noMicrophone ?? '';
    this.#record.addEventListener('click', () => void this.#guard(() => this.#toggleRecording()));
    this.#cancel.addEventListener('click', () => this.#abort?.abort());
    this.#open.addEventListener('change', () => {
      const file = this.#open.files?.[0];
      // Cleared so that the same file can be picked again.
      this.#open.value = '';
      if (file !== undefined) void this.#guard(() => this.#transcribe(() => readAudioFile(file)));
    });
    void this.#guard(() => this.#offerExamples());
  }

  ready(): void {
    this.#become('idle');
  }

  /** Shows a failure; `retry` offers a button that runs it. */
  fail(error: unknown, retry?: () => void): void {
    const problem = describeProblem(error);
    this.#problem.hidden = problem === undefined;
    element('problem-text', HTMLElement).textContent = problem?.text ?? '';
    element('problem-code', HTMLElement).textContent = problem?.code ?? '';
    this.#retry.hidden = retry === undefined;
    this.#retry.onclick = () => {
      this.#problem.hidden = true;
      retry?.();
    };
  }

  async #offerExamples(): Promise<void> {
    const examples = await listUtterances();
    this.#examples.replaceChildren(
      ...examples.map((example) => {
        const button = html('button', { type: 'button', class: 'quiet' }, example.words);
        button.addEventListener('click', () => {
          void this.#guard(() => this.#transcribe(() => readUtterance(example)));
        });
        return button;
      }),
    );
    this.#become(this.#state);
  }

  async #toggleRecording(): Promise<void> {
    if (this.#state === 'recording') return this.#finishRecording();
    if (this.#state !== 'idle') return;
    this.#become('recording');
    this.#outcome.textContent = `Listening, for ${MAX_RECORD_SECONDS} seconds at most.`;
    this.#recorder = await startRecording({
      onLevel: (level) => this.#record.style.setProperty('--level', level.toFixed(2)),
      onFull: () => void this.#guard(() => this.#finishRecording()),
    });
  }

  async #finishRecording(): Promise<void> {
    const recorder = this.#recorder;
    if (recorder === undefined) return;
    this.#recorder = undefined;
    this.#become('idle');
    await this.#transcribe(() => recorder.stop());
  }

  async #transcribe(load: () => Promise<Recording>): Promise<void> {
    if (this.#state !== 'idle') return;
    this.#become('working');
    this.#say('');
    this.#outcome.textContent = 'Working…';
    const abort = new AbortController();
    this.#abort = abort;
    const recording = await load();
    const transcript = await this.#run(recording, (text) => this.#say(text), abort.signal);
    this.#say(transcript.text, 'No words were heard.');
    this.#outcome.textContent = outcomeOf(recording, transcript);
  }

  /** Every way out of work ends idle, and a failure is shown. */
  async #guard(work: () => Promise<void>): Promise<void> {
    const before = this.#state;
    try {
      this.#problem.hidden = true;
      await work();
    } catch (error) {
      this.#recorder = undefined;
      this.#outcome.textContent = describeProblem(error) === undefined ? 'Cancelled.' : '';
      this.fail(error);
      if (before !== 'closed') this.#become('idle');
    } finally {
      if (this.#state === 'working') this.#become('idle');
    }
  }

  #say(text: string, otherwise = INVITATION): void {
    this.#said.textContent = text === '' ? otherwise : text;
    this.#said.classList.toggle('empty', text === '');
  }

  #become(state: State): void {
    this.#state = state;
    const idle = state === 'idle';
    this.#record.disabled = this.#noMicrophone !== undefined || !(idle || state === 'recording');
    this.#record.classList.toggle('on', state === 'recording');
    this.#recordLabel.textContent = state === 'recording' ? 'Stop' : 'Record';
    this.#open.disabled = !idle;
    this.#openLabel.classList.toggle('disabled', !idle);
    const working = state === 'working';
    const focused = document.activeElement;
    this.#record.hidden = working;
    this.#cancel.hidden = !working;
    // One takes the other's place; a hidden button would lose the keyboard's place on the page.
    if (working && focused === this.#record) this.#cancel.focus();
    if (!working && focused === this.#cancel) this.#record.focus();
    this.#said.classList.toggle('working', working);
    for (const button of this.#examples.querySelectorAll('button')) button.disabled = !idle;
  }
}

function outcomeOf(recording: Recording, { reports }: Transcript): string {
  const total = reports.reduce((sum, report) => sum + report.totalMs, 0);
  const first = reports[0]?.ttftMs;
  const spoken = (recording.samples.length / recording.sampleRate) * 1000;
  const parts = [`${milliseconds(total)} for ${milliseconds(spoken)} of sound`];
  if (first !== undefined) parts.push(`first word after ${milliseconds(first)}`);
  return parts.join(' · ');
}
