/** `isthmus import`: a model, from files, a folder or a hub, to a package. */
import { basename, resolve } from 'node:path';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import { defaultCacheDir } from '../package/node/hub/cache.ts';
import { openPackage } from '../package/node/open-package.ts';
import { checkTarget } from '../package/node/write-package.ts';
import type { Command } from './command.ts';
import { numberList, optionalNumber, parseFlags, UsageError } from './flags.ts';
import { DEFAULT_MAX_TOKENS, DEFAULT_TOKENS_PER_SECOND, type Given } from './import-settings.ts';
import { bringSource, importSource } from './import-source.ts';
import { missing, summarise, summaryText } from './import-summary.ts';
import { createProgress, PROGRESS_FORMS, progressForm } from './progress.ts';

/** Token ids are int32 or int64 in every export. */
const TOKEN = { min: 0, max: 2 ** 31 - 1 };

/** Longest generation that any model in use is made for. */
const LENGTH = { min: 1, max: 2 ** 24 };
const RATE = { min: 1000, max: 768_000 };
const PER_SECOND = { min: 0.1, max: 1000, integer: false };

const HELP = `Makes a split package from a model: GGUF or ONNX, from here or from a hub. No Python, no GPU.

Usage: isthmus import SOURCE... --out PKG [OPTIONS]

SOURCE is one of
  model.gguf                    a language model of the llama or qwen2 family
  DIR                           a folder with config.json, tokenizer.json and onnx/model.onnx
  FILE.onnx...                  an encoder, a decoder, or both
  hf:ORG/NAME[@REVISION]        a repository of the hub with ONNX or GGUF files
  hf:ORG/NAME/FILE.gguf         one file of it

  --out PKG                     folder to write; an older import of the same name is replaced
  --name N                      name that the endpoint serves it under (default: the folder's name)
  --variant V                   which export: fp32, fp16, q4, q4f16, quantized, ... (default: the only one,
                                else fp32); of a repository's GGUF files: Q4_K_M, Q8_0, ... (default: the
                                only one, else the first of Q4_K_M, Q4_0, Q8_0 if all are one model)
  --context N                   positions to keep, prompt and answer together (default: the model's)
  --tokenizer F                 tokenizer.json
  --tokenizer-config F          tokenizer_config.json
  --bos N                       token that a generation starts with
  --eos N[,N]                   tokens that end it
  --max-tokens N                hard stop for one request (default: the model's, else 2048 for text and
                                ${DEFAULT_MAX_TOKENS} for others)
  --sample-rate HZ              of the audio that the model takes
  --max-tokens-per-second X     tokens per second of audio at most (default ${DEFAULT_TOKENS_PER_SECOND})
  --hub URL                     address of the hub (default: HF_ENDPOINT, else https://huggingface.co)
  --token T                     for gated and private repositories (default: HF_TOKEN)
  --cache DIR                   where downloads are kept (default: XDG_CACHE_HOME/isthmus, else ~/.cache/isthmus)
  --force                       replace a package of another name
  --progress FORM               ${PROGRESS_FORMS.join(', ')} on standard error (default: bar on a terminal, else lines)
  --json                        one JSON document: {"name", "out", "blocks", "cuts", "bytes", "notes"}
  --help                        show this

Defaults are taken from tokenizer.json, tokenizer_config.json, generation_config.json, config.json and
preprocessor_config.json beside the files or one folder up; from a GGUF's metadata. External data is
read from the folder of its file. Downloads resume where they broke off, are verified, and are never
fetched twice; a model that cannot be imported is refused before its weights are fetched.

Examples:
  isthmus import hf:onnx-community/SmolLM2-135M-Instruct-ONNX --variant q4 --out ./package
  isthmus import hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q8_0.gguf --out ./package
  isthmus import model.gguf --context 4096 --out ./package
  isthmus import encoder_model.onnx decoder_model_merged.onnx --out ./package --bos 1 --eos 2
  isthmus import onnx/model.onnx --out ./embedder --tokenizer tokenizer.json
`;

export const importCommand: Command = {
  name: 'import',
  summary: 'make a split package from a GGUF, ONNX files or a model of the hub',
  help: HELP,
  run: async (args, io) => {
    const { values, positionals } = parseFlags(args, {
      out: { type: 'string' },
      name: { type: 'string' },
      variant: { type: 'string' },
      context: { type: 'string' },
      tokenizer: { type: 'string' },
      'tokenizer-config': { type: 'string' },
      bos: { type: 'string' },
      eos: { type: 'string', multiple: true },
      'max-tokens': { type: 'string' },
      'sample-rate': { type: 'string' },
      'max-tokens-per-second': { type: 'string' },
      hub: { type: 'string' },
      token: { type: 'string' },
      cache: { type: 'string' },
      progress: { type: 'string' },
      force: { type: 'boolean' },
      json: { type: 'boolean' },
    });
    if (positionals.length === 0)
      throw new UsageError('which model? Name its files, its folder or hf:ORG/NAME');
    if (values.out === undefined) throw new UsageError('--out says where the package is written');
    const out = values.out;
    const name = values.name ?? basename(resolve(out));
    const given: Given = {
      bos: optionalNumber('bos', values.bos, TOKEN),
      eos: numberList('eos', values.eos, TOKEN),
      maxTokens: optionalNumber('max-tokens', values['max-tokens'], LENGTH),
      context: optionalNumber('context', values.context, LENGTH),
      sampleRate: optionalNumber('sample-rate', values['sample-rate'], RATE),
      perSecond: optionalNumber('max-tokens-per-second', values['max-tokens-per-second'], PER_SECOND),
      tokenizer: values.tokenizer,
      tokenizerConfig: values['tokenizer-config'],
      variant: values.variant,
    };
    if (values.force !== true) await refuseOtherName(out, name);
    // Before anything is downloaded for it.
    await checkTarget(out);
    const env = io.env ?? {};
    const progress = createProgress(progressForm(values.progress, io.terminal === true), io.stderr);
    try {
      const source = await bringSource(positionals, given, {
        hub: values.hub ?? env.HF_ENDPOINT,
        token: values.token ?? env.HF_TOKEN,
        cache: values.cache ?? defaultCacheDir(env),
        progress,
      });
      const made = await importSource(source, given, { out, name, progress });
      const notes = [...made.notes, ...missing(made.manifest), ...made.manifest.notes];
      const summary = summarise(made.manifest, out, notes);
      progress.end();
      io.stdout(values.json === true ? `${JSON.stringify(summary)}\n` : summaryText(summary));
      return 0;
    } finally {
      progress.end();
    }
  },
};

/** A slip of the finger should not replace another model's package. */
async function refuseOtherName(out: string, name: string): Promise<void> {
  let present: string;
  try {
    present = (await openPackage(out)).manifest.name;
  } catch (error) {
    // Nothing there, an older version or something else: the writer decides.
    if (isIsthmusError(error)) return;
    throw error;
  }
  if (present === name) return;
  throw new IsthmusError('bad-option', `${out} holds the package '${present}', not '${name}'`, {
    details: { hint: 'choose another folder, or replace it with --force' },
  });
}
