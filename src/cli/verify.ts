/** `isthmus verify`: split = whole, checked on this machine. */
import { basename } from 'node:path';
import { IsthmusError } from '../errors.ts';
import { verifyPackage } from '../node/verify-package.ts';
import type { Manifest } from '../package/manifest.ts';
import { openPackage } from '../package/node/open-package.ts';
import {
  MIN_STEPS,
  type RunDifference,
  VERIFY_TOLERANCE,
  type Verdict,
  type VerifyInput,
  type VerifyProgress,
} from '../package/verify.ts';
import { audioInput, DEFAULT_STEPS, SYNTHETIC_STEPS, syntheticInputs } from '../package/verify-inputs.ts';
import type { Command } from './command.ts';
import { numberList, onePositional, optionalNumber, parseFlags } from './flags.ts';
import { table } from './inspect-table.ts';
import { readAudio } from './read-audio.ts';

/** More steps than any verification needs; each keeps one row of scores. */
const MAX_STEPS = 1000;

/** Threads beyond this only fight each other on any machine in use. */
export const MAX_THREADS = 256;

const HELP = `Runs a package split at every legal cut and compares it with the same package unsplit.

Usage: isthmus verify PKG [OPTIONS]

  --audio F        recording to run (WAV, or .raw: 16-bit mono at the model's rate); may be repeated.
                   Default: made-up inputs at two extents
  --max-tokens N   steps per input, at most ${MAX_STEPS} (default ${SYNTHETIC_STEPS}, or by the recording's length up to ${DEFAULT_STEPS};
                   at least ${MIN_STEPS} also when the end token comes first)
  --cut K          check this cut only; may be repeated
  --threads N      threads of the runtime (default 1)
  --json           one JSON document: {"model", "cuts": [{"cut", "maxAbsDiff", "tokensEqual"}], "ok"}, and for
                   language models "loop": how rows at once, one by one and after going back compare
  --help           show this

Exit status 1 when a token differs or a value differs by more than ${VERIFY_TOLERANCE}.

Examples:
  isthmus verify ./package
  isthmus verify ./package --audio speech.wav --cut 3 --json
`;

export const verifyCommand: Command = {
  name: 'verify',
  summary: 'check that every cut gives the same as the unsplit model',
  help: HELP,
  run: async (args, io) => {
    const { values, positionals } = parseFlags(args, {
      audio: { type: 'string', multiple: true },
      'max-tokens': { type: 'string' },
      cut: { type: 'string', multiple: true },
      threads: { type: 'string' },
      json: { type: 'boolean' },
    });
    const dir = onePositional(positionals, 'package');
    const maxTokens = optionalNumber('max-tokens', values['max-tokens'], { min: 1, max: MAX_STEPS });
    const threads = optionalNumber('threads', values.threads, { min: 1, max: MAX_THREADS });
    const cuts = numberList('cut', values.cut, { min: 0, max: Number.MAX_SAFE_INTEGER });
    const opened = await openPackage(dir);
    const verdict = await verifyPackage(opened, {
      inputs: await inputsOf(opened.manifest, values.audio ?? [], maxTokens),
      onProgress: (progress) => io.stderr(progressLine(progress)),
      ...(cuts === undefined ? {} : { cuts }),
      ...(threads === undefined ? {} : { threads }),
    });
    io.stdout(values.json === true ? `${JSON.stringify(verdict)}\n` : verdictText(verdict));
    return verdict.ok ? 0 : 1;
  },
};

async function inputsOf(
  manifest: Manifest,
  paths: readonly string[],
  maxTokens: number | undefined,
): Promise<VerifyInput[]> {
  if (paths.length === 0) return syntheticInputs(manifest, maxTokens);
  const rate = manifest.audio?.sampleRate;
  if (rate === undefined) {
    throw new IsthmusError('bad-option', 'this package does not take audio', {
      details: { hint: 'leave --audio out, or import the model again with --sample-rate' },
    });
  }
  const inputs: VerifyInput[] = [];
  for (const path of paths) {
    inputs.push(audioInput(manifest, basename(path), await readAudio(path, rate), maxTokens));
  }
  return inputs;
}

function progressLine({ cut, cutNumber, cuts, input, inputNumber, inputs }: VerifyProgress): string {
  const where = cut === undefined ? 'unsplit' : `cut ${cut} (${cutNumber} of ${cuts})`;
  return `${where}, input ${inputNumber} of ${inputs}: ${input}\n`;
}

function verdictText(verdict: Verdict): string {
  const rows = verdict.cuts.map((cut) => [String(cut.cut), ...differenceCells(cut)]);
  const text = table(['cut', 'largest difference', 'tokens'], rows);
  const ways = wayRows(verdict);
  const compared = ways.length === 0 ? '' : `\n${table(['way', 'largest difference', 'tokens'], ways)}\n`;
  const outcome = verdict.ok ? 'every cut equals the unsplit model' : 'NOT equal to the unsplit model';
  return `${text}\n${compared}${verdict.model}: ${outcome} (tolerance ${VERIFY_TOLERANCE})\n`;
}

function differenceCells({ maxAbsDiff, tokensEqual }: RunDifference): string[] {
  return [
    maxAbsDiff === Number.MAX_VALUE ? 'not comparable' : String(maxAbsDiff),
    tokensEqual ? 'equal' : 'DIFFERENT',
  ];
}

/** Ways of running the unsplit model, of packages that were verified by them. */
function wayRows({ loop }: Verdict): string[][] {
  if (loop === undefined) return [];
  return [
    ['rows at once, one by one', ...differenceCells(loop.prefill)],
    ...(loop.rewind === undefined ? [] : [['going back', ...differenceCells(loop.rewind)]]),
  ];
}
