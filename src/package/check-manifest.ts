/** Whether the parts of a well-formed manifest agree with each other; pure. */
import { PHASES, type Phase } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import type { LoopStage, Manifest, OnceStage, Stage } from './manifest.ts';
import { clashingPath, unsafePathReason } from './safe-path.ts';

function fail(path: string, why: string): never {
  throw new IsthmusError('bad-package', `${path} ${why}`, { details: { path } });
}

/** Throws `bad-package` with `details.path` at the first thing that contradicts another. */
export function checkManifest(manifest: Manifest): void {
  checkFiles(manifest);
  checkTiling(manifest);
  manifest.stages.forEach((stage, index) => {
    const path = `$.stages[${index}]`;
    if (stage.kind === 'once') checkOnce(manifest, stage, path);
    else checkLoop(manifest, stage, manifest.stages[index - 1], path);
  });
  checkCuts(manifest);
}

function checkNamed(manifest: Manifest, file: string | undefined, path: string): void {
  if (file !== undefined && !Object.hasOwn(manifest.files, file)) {
    fail(path, `names ${JSON.stringify(file)}, which is not in files`);
  }
}

function checkFiles(manifest: Manifest): void {
  const paths = Object.keys(manifest.files);
  for (const path of paths) {
    const reason = unsafePathReason(path);
    if (reason) fail(`$.files[${JSON.stringify(path)}]`, reason);
  }
  const clash = clashingPath(paths);
  if (clash !== undefined) fail(`$.files[${JSON.stringify(clash)}]`, 'clashes with another file');
  checkNamed(manifest, manifest.tokenizer?.tokenizer, '$.tokenizer.tokenizer');
  checkNamed(manifest, manifest.tokenizer?.config, '$.tokenizer.config');
  manifest.blocks.forEach((block, index) => {
    block.shards.forEach((shard, at) => {
      checkNamed(manifest, shard, `$.blocks[${index}].shards[${at}]`);
    });
  });
}

/** Stages lie end to end over the blocks, and each block says the stage that it lies in. */
function checkTiling({ stages, blocks }: Manifest): void {
  if (stages.length === 0) fail('$.stages', 'is empty');
  let next = 0;
  stages.forEach((stage, index) => {
    if (stage.from !== next) fail(`$.stages[${index}].from`, `is not ${next}, where the last stage ended`);
    if (stage.to <= stage.from) fail(`$.stages[${index}].to`, 'leaves the stage without a block');
    if (stage.to > blocks.length) fail(`$.stages[${index}].to`, 'lies beyond the last block');
    next = stage.to;
  });
  if (next !== blocks.length) fail('$.stages', `cover ${next} of ${blocks.length} blocks`);
  blocks.forEach((block, index) => {
    if (block.index !== index) fail(`$.blocks[${index}].index`, `is not ${index}`);
    const stage = stages[block.stage];
    if (!stage || index < stage.from || index >= stage.to) {
      fail(`$.blocks[${index}].stage`, 'is not the stage that the block lies in');
    }
  });
}

function checkOnce(manifest: Manifest, stage: OnceStage, path: string): void {
  checkNamed(manifest, stage.graphs.once, `${path}.graphs.once`);
  checkUnique(stage.inputs, `${path}.inputs`);
  checkUnique(stage.outputs, `${path}.outputs`);
  const input = stage.inputs.find(({ name }) => name === stage.extent.input);
  if (!input) fail(`${path}.extent.input`, 'is not an input of the stage');
  if (stage.extent.axis >= input.dims.length) fail(`${path}.extent.axis`, 'is not an axis of that input');
}

function checkLoop(manifest: Manifest, stage: LoopStage, previous: Stage | undefined, path: string): void {
  checkNamed(manifest, stage.graphs.init, `${path}.graphs.init`);
  checkNamed(manifest, stage.graphs.step, `${path}.graphs.step`);
  stage.context.forEach((entry, index) => {
    const at = `${path}.context[${index}].output`;
    if (!previous) fail(at, 'has no stage before it to come from');
    const known = previous.kind === 'once' ? previous.outputs.map(({ name }) => name) : [previous.logits];
    if (!known.includes(entry.output)) fail(at, 'is not an output of the stage before');
  });
  const inputs = new Set<string>();
  stage.states.forEach((state, index) => {
    const at = `${path}.states[${index}]`;
    if (state.block < stage.from || state.block >= stage.to) fail(`${at}.block`, 'lies outside the stage');
    if (state.origin === 'init' && stage.graphs.init === undefined) {
      fail(`${at}.origin`, 'is init, and the stage has no init graph');
    }
    if (inputs.has(state.input)) fail(`${at}.input`, 'is named twice');
    inputs.add(state.input);
    if (state.growth === 'replace') return;
    if (state.origin === 'init') fail(`${at}.growth`, 'is not replace, and the entry is filled once');
    if (state.axis === undefined || state.axis >= state.dims.length)
      fail(`${at}.axis`, 'is not an axis of it');
  });
  stage.feeds.forEach(({ input }, index) => {
    const at = `${path}.feeds[${index}].input`;
    if (inputs.has(input) || input === stage.tokenInput.name) fail(at, 'is named twice');
    inputs.add(input);
  });
}

function checkUnique(tensors: readonly { readonly name: string }[], path: string): void {
  const names = new Set<string>();
  tensors.forEach(({ name }, index) => {
    if (names.has(name)) fail(`${path}[${index}].name`, 'is named twice');
    names.add(name);
  });
}

function phasesOf(stage: Stage | undefined): readonly Phase[] {
  if (!stage) return [];
  if (stage.kind === 'once') return ['once'];
  return stage.graphs.init === undefined ? ['step'] : ['init', 'step'];
}

/**
 * A cut has the phases of the stages on its two sides. Strictly inside a stage the phase that always
 * runs there must be listed, even when nothing is sent: an executor must not guess.
 */
function checkCuts({ stages, blocks, cuts }: Manifest): void {
  if (cuts.length !== blocks.length + 1) fail('$.cuts', `are ${cuts.length} for ${blocks.length} blocks`);
  cuts.forEach(({ cut, crossings }, index) => {
    const path = `$.cuts[${index}]`;
    if (cut !== index) fail(`${path}.cut`, `is not ${index}`);
    const before = stages.find((stage) => stage.from < index && index <= stage.to);
    const after = stages.find((stage) => stage.from <= index && index < stage.to);
    const legal = [...phasesOf(before), ...phasesOf(after)];
    for (const phase of PHASES) {
      const crossing = crossings[phase];
      if (!crossing) continue;
      if (!legal.includes(phase)) fail(`${path}.crossings.${phase}`, 'is not a phase of the stages here');
      checkUnique(crossing.sent, `${path}.crossings.${phase}.sent`);
    }
    const needed = before === after && before ? (before.kind === 'once' ? 'once' : 'step') : undefined;
    if (needed && !crossings[needed]) fail(`${path}.crossings`, `has no "${needed}"`);
  });
}
