/** The chat: one session, one conversation, an answer that can move while it runs. */
import { type ChatMessage, createSession, type SessionEvent, type TextPlan, type TextSession } from 'isthmus';
import { Answer } from './chat/answer.ts';
import { ChatLedger } from './chat/ledger.ts';
import { Strip } from './chat/strip.ts';
import { element, html } from './dom.ts';
import { findPackage } from './find-package.ts';
import { bytes } from './format.ts';
import { describeProblem } from './problems.ts';

const STARTERS = [
  'What is an isthmus?',
  'Write a short poem about the sea.',
  'Rewrite in the past tense: I walk to the harbour, look at the boats and buy bread.',
];

const turns = element('turns', HTMLOListElement);
const prompt = element('prompt', HTMLTextAreaElement);
const send = element('send', HTMLButtonElement);
const stop = element('stop', HTMLButtonElement);
const cut = element('cut', HTMLInputElement);
const strip = new Strip(element('strip', HTMLElement));
const ledger = new ChatLedger();
const messages: ChatMessage[] = [];
let session: TextSession | undefined;
let running: AbortController | undefined;

function say(text: string): void {
  element('reason', HTMLElement).textContent = text;
}

function fail(error: unknown): void {
  const problem = error === undefined ? undefined : describeProblem(error);
  element('problem', HTMLElement).hidden = problem === undefined;
  element('problem-text', HTMLElement).textContent = problem?.text ?? '';
  element('problem-code', HTMLElement).textContent = problem?.code ?? '';
}

function plan(): TextPlan {
  const mode = document.querySelector<HTMLInputElement>('input[name=mode]:checked')?.value;
  if (mode === 'local' || mode === 'remote') return mode;
  return mode === 'cut' ? { cut: Number(cut.value) } : 'auto';
}

function steered(): void {
  element('by-hand', HTMLElement).hidden = typeof plan() === 'string';
  element('cut-text', HTMLOutputElement).value = `${cut.value} of ${Number(cut.max) + 1}`;
  const wanted = plan();
  if (running === undefined || wanted === 'auto') return;
  // Asked again before it was met: the later wish counts, and the earlier one is told so.
  session?.moveText(wanted).catch((error: unknown) => fail(error));
}

function onEvent(event: SessionEvent): void {
  if (event.type !== 'weights' || event.total === 0) return;
  element('weights', HTMLElement).hidden = false;
  element('weights-bar', HTMLProgressElement).value = event.done / event.total;
  element('weights-text', HTMLElement).textContent = `${bytes(event.done)} of ${bytes(event.total)}`;
}

function become(isRunning: boolean): void {
  prompt.disabled = session === undefined;
  send.disabled = session === undefined || isRunning;
  send.hidden = isRunning;
  stop.hidden = !isRunning;
}

async function ask(text: string): Promise<void> {
  if (session === undefined || running !== undefined || text.trim() === '') return;
  element('invitation', HTMLElement).hidden = true;
  element('starters', HTMLElement).hidden = true;
  fail(undefined);
  const controller = new AbortController();
  running = controller;
  become(true);
  ledger.clear();
  messages.push({ role: 'user', content: text });
  const answer = new Answer();
  turns.append(html('li', { class: 'turn user' }, text), answer.element);
  let said = '';
  try {
    const stream = session.generate(messages, {
      plan: plan(),
      mode: element('frugal', HTMLInputElement).checked ? 'prefer-device' : 'auto',
      signal: controller.signal,
      onMove: (period) => {
        answer.moved(period);
        ledger.period(period);
        strip.show(period.plan);
        say(`${period.plan}: ${period.reason}.`);
      },
    });
    for await (const piece of stream) {
      said += piece;
      answer.add(piece);
      answer.element.scrollIntoView({ block: 'nearest' });
    }
    ledger.usage((await stream.result).usage);
  } catch (error) {
    fail(error);
  } finally {
    // What was said stays said: the conversation goes on from it.
    if (said === '') messages.pop();
    else messages.push({ role: 'assistant', content: said });
    answer.drop();
    running = undefined;
    become(false);
  }
}

async function start(): Promise<void> {
  say('Opening the model…');
  try {
    session = await createSession(await findPackage('text'), { onEvent });
    const blocks = session.manifest.blocks.length;
    strip.setBlocks(blocks);
    cut.min = '1';
    cut.max = String(Math.max(1, blocks - 1));
    cut.value = String(Math.floor(blocks / 2));
    steered();
    say(`${session.manifest.name}, ${blocks} blocks. Ready.`);
    become(false);
  } catch (error) {
    say('The model could not be opened.');
    fail(error);
  }
}

element('starters', HTMLElement).append(
  ...STARTERS.map((text) => {
    const button = html('button', { type: 'button' }, text);
    button.addEventListener('click', () => void ask(text));
    return button;
  }),
);
element('composer', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const text = prompt.value;
  prompt.value = '';
  void ask(text);
});
prompt.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element('composer', HTMLFormElement).requestSubmit();
});
stop.addEventListener('click', () => running?.abort());
for (const input of document.querySelectorAll('input[name=mode], #cut')) {
  input.addEventListener('change', steered);
}
void start();
