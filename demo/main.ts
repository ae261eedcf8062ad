/** Puts the page together: one session, three panels. */
import { createSession, type Session, type SessionEvent, transcribe } from 'isthmus';
import { Atlas } from './atlas.ts';
import { element } from './dom.ts';
import { findPackage } from './find-package.ts';
import { PlanTable } from './plan-table.ts';
import { SpeechPanel } from './speech.ts';
import { Steering } from './steering.ts';

const atlas = new Atlas();
const plans = new PlanTable(
  element('plans', HTMLTableSectionElement),
  element('more-plans', HTMLButtonElement),
);
let session: Session | undefined;
let working = false;

/** Prices every plan anew; `draw` also puts the chosen one on the map. */
async function explain(draw: boolean): Promise<void> {
  if (session === undefined) return;
  const explanation = await session.explain();
  plans.explain(explanation);
  if (draw && !working) atlas.preview(explanation, steering.choice);
}

function onEvent(event: SessionEvent): void {
  switch (event.type) {
    case 'weights':
      atlas.weights(event.done, event.total);
      break;
    case 'plan':
      if (working) atlas.planned(event.plan, event.reason);
      break;
    case 'hedge':
      atlas.say(
        `${event.plan.id} runs beside ${event.beside}: ${event.cause === 'late' ? 'that is late' : 'which is faster is in doubt'}.`,
      );
      break;
    case 'fallback':
      atlas.say(`${event.from} failed (${event.error.code}); going on with ${event.to}.`);
      break;
    case 'profile':
    case 'endpoint':
      explain(!working).catch((error: unknown) => speech.fail(error));
      break;
  }
}

const steering = new Steering(() => {
  explain(true).catch((error: unknown) => speech.fail(error));
});

const speech = new SpeechPanel(async ({ samples, sampleRate }, onText, signal) => {
  if (session === undefined) throw new Error('The model is not ready yet.');
  working = true;
  atlas.running(true);
  try {
    const transcript = await transcribe(session, samples, {
      sampleRate,
      plan: steering.choice,
      onText,
      signal,
    });
    atlas.measured(transcript.reports);
    plans.measure(transcript.reports);
    return transcript;
  } finally {
    working = false;
    atlas.running(false);
    await explain(false);
  }
});

async function start(): Promise<void> {
  atlas.say('Measuring this device and the link…');
  try {
    session = await createSession(await findPackage('audio'), { onEvent });
    steering.setBlocks(session.manifest.blocks.length);
    atlas.open(session);
    await explain(true);
    speech.ready();
  } catch (error) {
    atlas.say('The model could not be opened.');
    speech.fail(error, () => void start());
  }
}

void start();
