/** A real speech model, cut everywhere, and its endpoint killed while it speaks. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { float32Tensor, type TensorMap } from '../../src/core/tensor.ts';
import { type OpenedPackage, openPackage } from '../../src/package/node/open-package.ts';
import { enumeratePlans } from '../../src/planner/enumerate.ts';
import type { PlanShape } from '../../src/planner/types.ts';
import { generate } from '../../src/runtime/generate.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { createExecutor } from '../../src/runtime/span-executor.ts';
import { decodeWav } from '../../src/tasks/audio/wav.ts';
import { DeviceFiles } from '../fixtures/node-device.ts';
import { importedPackage } from '../fixtures/packages.ts';
import { findRecording } from '../fixtures/recordings.ts';
import { isUp, open, paced, startEndpoint, until } from './with-session.ts';

/** Utterances that the repository ships. */
const UTTERANCES = ['time.wav', 'coffee.wav'];
/** Recordings on which codecs that shorten were measured; from packages that may not be installed. */
const RECORDED = ['austen-0880', 'goforward'].map(findRecording);
const missing = RECORDED.find((recording) => recording.missing !== undefined)?.missing;
if (missing !== undefined) console.info(`skipped: ${missing}`);
const MAX_TOKENS = 40;

interface Spoken {
  readonly name: string;
  readonly inputs: TensorMap;
  readonly samples: number;
  readonly tokens: readonly number[];
}

let pkg: OpenedPackage;
let spoken: Spoken[];
let loopStart: number;
let hear: (name: string, samples: Float32Array) => Promise<Spoken>;

beforeAll(async () => {
  pkg = await openPackage(await importedPackage('moonshine-tiny-q8'));
  loopStart = pkg.manifest.stages.find((stage) => stage.kind === 'loop')?.from ?? 0;
  const stage = pkg.manifest.stages[0];
  if (stage?.kind !== 'once') throw new Error('a speech model begins with its encoder');
  const runner = createNodeRunner(pkg.manifest, pkg.source);
  await createExecutor(pkg.manifest, { from: 0, to: pkg.manifest.blocks.length }, runner).load();
  hear = async (name, samples) => {
    const inputs = { [stage.extent.input]: float32Tensor(samples, [1, samples.length]) };
    const request = { inputs, prefix: [], maxTokens: MAX_TOKENS };
    const { tokens } = await generate(pkg.manifest, runner, request, { onToken: () => undefined });
    return { name, inputs, samples: samples.length, tokens };
  };
  spoken = [];
  for (const file of UTTERANCES) {
    const url = new URL(`../../demo/public/utterances/${file}`, import.meta.url);
    spoken.push(await hear(file, decodeWav(await readFile(url)).samples));
  }
});

function plans(codecs: readonly ('fp32' | 'fp16' | 'int8')[]): readonly PlanShape[] {
  return enumeratePlans(pkg.manifest, { choice: 'auto', codecs, hasEndpoint: true }).filter(
    ({ kind }) => kind !== 'local',
  );
}

async function connected() {
  const endpoint = await startEndpoint(pkg);
  const opened = await open(pkg, { port: endpoint.port });
  await opened.seen(isUp);
  return { ...opened, endpoint };
}

describe('Moonshine, 8 bits', () => {
  it('has something to say', () => {
    for (const { tokens } of spoken) expect(tokens.length).toBeGreaterThan(5);
    expect(spoken[0]?.tokens).not.toEqual(spoken[1]?.tokens);
  });

  it('says the same at every cut', async () => {
    const { session } = await connected();
    for (const { cut, id } of plans(['fp32'])) {
      for (const { inputs, tokens } of spoken) {
        const outcome = await session.run({ inputs, plan: { cut, codec: 'fp32' }, maxTokens: MAX_TOKENS });
        expect(outcome.tokens, id).toEqual(tokens);
        expect(outcome.report.abandoned, id).toEqual([]);
        // The step that finds the end is a trip too.
        expect(outcome.report.roundTrips, id).toBe(cut > loopStart ? tokens.length + 1 : 1);
      }
    }
  });

  it.skipIf(missing !== undefined)('says the same under fp16 and int8, on these recordings', async () => {
    const { session } = await connected();
    const different: string[] = [];
    for (const recording of RECORDED) {
      const { name, inputs, tokens } = await hear(recording.name, recording.samples());
      for (const { cut, id, codec } of plans(['fp16', 'int8'])) {
        if (codec === 'none') continue;
        const outcome = await session.run({ inputs, plan: { cut, codec }, maxTokens: MAX_TOKENS });
        expect(outcome.report.abandoned).toEqual([]);
        if (outcome.tokens.join() !== tokens.join()) different.push(`${id} on ${name}`);
      }
    }
    expect(different).toEqual([]);
  });

  it('sends less than half of the recording where int8 is used inside the encoder', async () => {
    const { session } = await connected();
    const inside = plans(['int8']).filter(
      ({ cut, codec }) => codec === 'int8' && cut > 0 && cut <= loopStart,
    );
    expect(inside.length).toBeGreaterThan(3);
    for (const { cut, id } of inside) {
      for (const { inputs, samples } of spoken) {
        const { report } = await session.run({ inputs, plan: { cut, codec: 'int8' }, maxTokens: MAX_TOKENS });
        const pcmBytes = 2 * samples;
        expect(report.bytesUp / pcmBytes, id).toBeLessThan(0.5);
      }
    }
  });

  it('loses no word to an endpoint that goes while it speaks', async () => {
    const [first] = spoken;
    if (first === undefined) throw new Error('no utterance');
    const heard: number[] = [];
    let made = 0;
    let killAt = -1;
    let kill: () => void = () => undefined;
    const endpoint = await startEndpoint(pkg, {
      createRunner: paced(async () => {
        const at = made;
        made += 1;
        if (at !== killAt) return;
        await until(() => heard.length >= at);
        kill();
      }),
    });
    const { session, wire, events } = await open(pkg, { port: endpoint.port });
    kill = () => wire.cut();
    const last = first.tokens.length;
    for (const cut of [0, 2, loopStart, loopStart + 2]) {
      for (const at of [0, 1, Math.floor(last / 2), last]) {
        await session.run({ inputs: first.inputs, plan: 'local', maxTokens: 1 });
        const isUpNow = () => events.findLast((event) => event.type === 'endpoint')?.state === 'up';
        if (!isUpNow()) {
          killAt = -1;
          await session.run({ inputs: first.inputs, plan: 'auto', maxTokens: 1 });
          await until(isUpNow);
        }
        heard.length = 0;
        made = 0;
        killAt = at;
        const { tokens, report } = await session.run({
          inputs: first.inputs,
          plan: { cut, codec: 'fp32' },
          maxTokens: MAX_TOKENS,
          onToken: (token) => heard.push(token),
        });
        expect(tokens, `cut ${cut}, token ${at}`).toEqual(first.tokens);
        expect(heard).toEqual(first.tokens);
        expect(report.abandoned.map(({ error }) => error.code)).toEqual(['endpoint-lost']);
      }
    }
    await until(() => endpoint.activeRequests === 0);
  });

  it('fetches for a split what its blocks need and nothing else', async () => {
    const files = new DeviceFiles(pkg, 'none');
    const endpoint = await startEndpoint(pkg);
    const { session, seen } = await open(pkg, { port: endpoint.port, files });
    await seen(isUp);
    const [first] = spoken;
    const cut = Math.floor(loopStart / 2);
    const { tokens } = await session.run({
      inputs: first?.inputs ?? {},
      plan: { cut, codec: 'fp32' },
      maxTokens: MAX_TOKENS,
    });
    expect(tokens).toEqual(first?.tokens);
    const needed = new Set(pkg.manifest.blocks.slice(0, cut).flatMap((block) => block.shards));
    const others = pkg.manifest.blocks.flatMap((block) => block.shards).filter((shard) => !needed.has(shard));
    expect(others.length).toBeGreaterThan(0);
    expect(others.filter((shard) => files.here.has(shard))).toEqual([]);
    expect(new Set(files.fetched).size).toBe(files.fetched.length);
  });
});
