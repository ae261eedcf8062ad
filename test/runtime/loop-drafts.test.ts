/** What a loop in one place guesses, and when it does without. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LoopStage } from '../../src/package/manifest.ts';
import { LaneText, UNSEEN } from '../../src/runtime/lane-text.ts';
import { LoopDrafts } from '../../src/runtime/loop-drafts.ts';
import { llamaPackage } from './loop-package.ts';

const { manifest } = await llamaPackage(64);
const stage = manifest.stages.find((one): one is LoopStage => one.kind === 'loop');
if (stage === undefined) throw new Error('the package has no loop');

/** 40 ms a pass and 2 a row: a guess that is right half of the time pays. */
const passMs = (rows: number): number => 40 + 2 * rows;
const repeated = Array.from({ length: 60 }, (_, at) => at % 6);

it('guesses nothing before a step was seen, then what stood there before', () => {
  const drafts = new LoopDrafts(stage);
  drafts.begin('auto', true);
  expect(drafts.propose(repeated, 8)).toEqual([]);
  drafts.learnRows(60, passMs(60));
  expect(drafts.propose(repeated, 8)).toEqual([]);
  drafts.learn({ drafted: 0, accepted: 0, ms: passMs(1) });
  const proposal = drafts.propose(repeated, 8);
  expect(proposal.length).toBeGreaterThan(0);
  expect(proposal).toEqual([0, 1, 2, 3, 4, 5, 0, 1].slice(0, proposal.length));
  expect(drafts.propose(repeated, 1)).toEqual([0]);
  expect(drafts.propose(repeated, 0)).toEqual([]);
});

it('guesses as many as it is told to, and none where it is told so', () => {
  const drafts = new LoopDrafts(stage);
  drafts.begin(4, true);
  expect(drafts.propose(repeated, 8)).toEqual([0, 1, 2, 3]);
  drafts.begin(0, true);
  expect(drafts.propose(repeated, 8)).toEqual([]);
});

it('gives up where guesses are wrong, and loses little by then', () => {
  const drafts = new LoopDrafts(stage);
  drafts.begin('auto', true);
  drafts.learn({ drafted: 0, accepted: 0, ms: passMs(1) });
  let spent = 0;
  const trips = 200;
  for (let trip = 0; trip < trips; trip += 1) {
    const { length } = drafts.propose(repeated, 8);
    spent += passMs(1 + length);
    drafts.learn({ drafted: length, accepted: 0, ms: passMs(1 + length) });
  }
  expect(spent / (trips * passMs(1))).toBeLessThan(1.04);
});

it('never proposes what nobody has seen', () => {
  const drafts = new LoopDrafts(stage);
  drafts.begin(8, true);
  expect(drafts.propose([1, 2, 3, UNSEEN, UNSEEN, 7, 1, 2], 8)).toEqual([3]);
  expect(drafts.propose([UNSEEN, UNSEEN, 5, UNSEEN, UNSEEN], 8)).not.toContain(UNSEEN);
});

it('does without where state cannot go back', () => {
  const replaced = stage.states.map((state) => ({ ...state, origin: 'step', growth: 'replace' }) as const);
  const drafts = new LoopDrafts({ ...stage, states: replaced });
  drafts.begin(8, true);
  expect(drafts.propose(repeated, 8)).toEqual([]);
});

it('a text is what was put last, and unseen where nothing was', () => {
  const pieces = fc.array(
    fc.record({ position: fc.nat(30), tokens: fc.array(fc.nat(99), { maxLength: 12 }) }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(pieces, fc.array(fc.nat(99), { maxLength: 10 }), (puts, answer) => {
      const text = new LaneText();
      let model: number[] = [];
      for (const { position, tokens } of puts) {
        text.put(position, tokens);
        model = Array.from({ length: position }, (_, at) => model[at] ?? UNSEEN).concat(tokens);
      }
      const length = model.length + 3;
      const whole = Array.from({ length }, (_, at) => model[at] ?? UNSEEN);
      expect(text.read(length, [])).toEqual(whole);
      const told = answer.slice(-length);
      expect(text.read(length, answer)).toEqual([...whole.slice(0, length - told.length), ...told]);
    }),
  );
});
