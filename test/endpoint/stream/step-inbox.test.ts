import { expect, it } from 'vitest';
import { MAX_WAITING_STEP_BYTES, MAX_WAITING_STEPS } from '../../../src/endpoint/limits.ts';
import { StepInbox } from '../../../src/endpoint/stream/step-inbox.ts';
import { features } from '../with-endpoint.ts';

const HOUR = 3_600_000;

it('gives steps in order, whether they or their taker came first', async () => {
  const inbox = new StepInbox(HOUR);
  const { signal } = new AbortController();
  const [one, two] = [{ x: features(1) }, { x: features(2) }];
  inbox.put(1, one);
  expect(await inbox.take(signal)).toBe(one);
  const taking = inbox.take(signal);
  inbox.put(2, two);
  expect(await taking).toBe(two);
});

it('refuses a step twice and one too early', () => {
  const inbox = new StepInbox(HOUR);
  expect(() => inbox.put(2, {})).toThrow(expect.objectContaining({ code: 'bad-frame' }));
  inbox.put(1, {});
  expect(() => inbox.put(1, {})).toThrow(expect.objectContaining({ code: 'bad-frame' }));
});

it('holds no more than its bounds', () => {
  const many = new StepInbox(HOUR);
  for (let step = 1; step <= MAX_WAITING_STEPS; step += 1) many.put(step, {});
  expect(() => many.put(MAX_WAITING_STEPS + 1, {})).toThrow(
    expect.objectContaining({ code: 'limit-exceeded' }),
  );
  const large = new StepInbox(HOUR);
  const x = {
    dtype: 'uint8',
    dims: [MAX_WAITING_STEP_BYTES],
    bytes: new Uint8Array(MAX_WAITING_STEP_BYTES),
  } as const;
  large.put(1, { x });
  expect(() => large.put(2, { x: features(1) })).toThrow(expect.objectContaining({ code: 'limit-exceeded' }));
});

it('gives up when it is told to, or when nothing comes', async () => {
  const abort = new AbortController();
  const taking = new StepInbox(HOUR).take(abort.signal);
  abort.abort();
  await expect(taking).rejects.toMatchObject({ code: 'aborted' });
  await expect(new StepInbox(HOUR).take(abort.signal)).rejects.toMatchObject({ code: 'aborted' });
  const { signal } = new AbortController();
  await expect(new StepInbox(1).take(signal)).rejects.toMatchObject({ code: 'unknown-session' });
});
