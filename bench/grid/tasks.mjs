/** What a request of each kind of work is: how it is asked, and which plans are forced beside the planner's. */
import { WORKS } from './dimensions.mjs';
import { offlinePlan } from './offline-planner.mjs';
import { speechRun, textRun } from './runs.mjs';

/** Tokens that `explain` takes for granted, of a few seconds of speech. */
const TYPICAL_TOKENS = 10;

const closest = (values, wanted) =>
  values.reduce((a, b) => (Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a));

/**
 * @typedef {object} Task
 * @property {object} about what the result says of it
 * @property {(page: import('playwright-core').Page, choice: unknown, index?: number) => Promise<object>} run `index`: on the
 *   input that is this one of the scenario's; without it, on one that no other run has
 * @property {(page: import('playwright-core').Page) => Promise<unknown>} connect something short at the endpoint
 * @property {(plan: unknown, round: number) => object} errand of a first visit: all of one round are the same
 * @property {(result: object) => object} toRun
 * @property {(page: import('playwright-core').Page, hasAllCuts: boolean) => Promise<{ id: string, choice: unknown,
 *   isMiddle?: boolean }[]>} plans that are forced
 * @property {(page: import('playwright-core').Page) => Promise<object[]>} [explain] every plan with its prediction
 * @property {typeof offlinePlan} [offlinePlan] what a planner with a profile from long ago would take of these
 */

/** @returns {Task} */
export function taskOf(scenario, world) {
  const work = WORKS[scenario.work];
  return work.kind === 'speech' ? speechTask(work, world) : textTask(work, world);
}

function speechTask({ seconds }, { recordings }) {
  const recording = recordings.reduce((a, b) =>
    Math.abs(b.seconds - seconds) < Math.abs(a.seconds - seconds) ? b : a,
  );
  const shortest = recordings.reduce((a, b) => (b.seconds < a.seconds ? b : a));
  const explain = async (page) =>
    (await page.evaluate(([name, tokens]) => bench.explain(name, tokens), [recording.name, TYPICAL_TOKENS]))
      .plans;
  return {
    about: { recording: { name: recording.name, seconds: recording.seconds } },
    recording,
    connect: (page) => page.evaluate((name) => bench.transcribe(name, 'remote'), shortest.name),
    errand: (plan) => ({ name: recording.name, plan }),
    toRun: speechRun,
    run: async (page, choice) =>
      speechRun(
        await page.evaluate(([name, plan]) => bench.transcribe(name, plan), [recording.name, choice]),
      ),
    plans: async (page, hasAllCuts) => forcedSpeech(await explain(page), hasAllCuts),
    explain,
    offlinePlan,
  };
}

/** Both pure plans and the middle cut; of all, the first one and the quarters too, which are the stages' own middles. */
function forcedSpeech(plans, hasAllCuts) {
  const cuts = plans
    .filter(({ kind }) => kind === 'split')
    .map(({ cut }) => cut)
    .sort((a, b) => a - b);
  const last = Math.max(...cuts) + 1;
  const middle = closest(cuts, last / 2);
  const shares = hasAllCuts ? [0, 1 / 4, 1 / 2, 3 / 4] : [1 / 2];
  const wanted = new Set(shares.map((share) => closest(cuts, share * last)));
  return [...pure(), ...[...wanted].map((cut) => splitAt(cut, middle))];
}

function textTask({ prompt, tokens: maxTokens }, { nextPrompt, middles }) {
  const middle = middles.text;
  // Each from another place of the book: what an earlier one left is of no use to it.
  const ask = () => nextPrompt(prompt);
  // An answer that repeats itself takes half as long as one that does not: plans are compared on the same ones.
  const known = [];
  const at = (index) => {
    while (known.length <= index) known.push(ask());
    return known[index];
  };
  const errand = (plan, round) => ({ prompt: at(round).text, maxTokens, plan });
  return {
    about: { prompt: { tokens: prompt, newTokens: maxTokens } },
    connect: (page) => page.evaluate((ids) => bench.generate(ids, 1, 'remote'), ask().tokens),
    errand,
    toRun: textRun,
    run: async (page, choice, index) => {
      const { tokens } = index === undefined ? ask() : at(index);
      return textRun(
        await page.evaluate(
          ([ids, most, plan]) => bench.generate(ids, most, plan),
          [tokens, maxTokens, choice],
        ),
      );
    },
    // A text's time is a sum over alike blocks: cuts lie between the pure plans, and the middle stands for them.
    plans: async () => [...pure(), splitAt(middle, middle)],
  };
}

const pure = () => ['local', 'remote'].map((id) => ({ id, choice: id }));

const splitAt = (cut, middle) => ({ id: `split@${cut}`, choice: { cut }, isMiddle: cut === middle });
