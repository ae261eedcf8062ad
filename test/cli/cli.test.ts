import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MANIFEST_FILE, type Manifest } from '../../src/package/manifest.ts';
import { TINY } from '../fixtures/tiny-models.ts';
import { cli } from './cli.ts';
import { type TinyFiles, TOKEN_FLAGS, tinyFiles } from './tiny-files.ts';

let files: TinyFiles;
let pkg: string;

beforeAll(async () => {
  files = await tinyFiles();
  pkg = join(files.dir, 'speech');
  const made = await cli(['import', files.encoder, files.decoder, '--out', pkg, ...TOKEN_FLAGS]);
  expect(made.stderr + made.stdout).toContain('speech: ');
  expect(made.code).toBe(0);
});

afterAll(async () => {
  await rm(files.dir, { recursive: true, force: true });
});

const COMMANDS = ['import', 'inspect', 'verify', 'serve'];

describe('isthmus', () => {
  it('says what there is', async () => {
    const help = await cli(['--help']);
    expect(help.code).toBe(0);
    expect(help.stderr).toBe('');
    for (const command of COMMANDS) expect(help.stdout).toContain(`  ${command} `);
    const nothing = await cli([]);
    expect(nothing).toMatchObject({ code: 2, stdout: '', stderr: help.stdout });
  });

  it.each(COMMANDS)('explains %s with examples, and refuses flags that it does not know', async (command) => {
    for (const args of [
      [command, '--help'],
      ['help', command],
      [command, 'x', '-h'],
    ]) {
      const help = await cli(args);
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).toContain(`Usage: isthmus ${command} `);
      expect(help.stdout).toContain('Examples:\n  isthmus');
    }
    const wrong = await cli([command, 'x', '--colour']);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain("'--colour'");
    expect(wrong.stderr).toContain(`isthmus ${command} --help`);
    expect(await cli([command])).toMatchObject({ code: 2, stdout: '' });
  });

  it('documents every flag that a command takes', async () => {
    for (const command of COMMANDS) {
      const { stdout } = await cli([command, '--help']);
      const source = await readFile(new URL(`../../src/cli/${command}.ts`, import.meta.url), 'utf8');
      const flags = [...source.matchAll(/[\s{]'?([a-z-]+)'?: \{ type: '(?:string|boolean)'/g)].map(
        ([, flag]) => flag,
      );
      expect(flags.length).toBeGreaterThan(0);
      for (const flag of flags) expect(stdout).toContain(`--${flag} `);
    }
  });

  it('knows its version', async () => {
    const json = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await cli(['--version'])).toEqual({ code: 0, stdout: `${json.version}\n`, stderr: '' });
  });

  it.each(['inspekt', '--verbose', 'constructor'])('refuses %s', async (name) => {
    const wrong = await cli([name]);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain(`'${name}'`);
  });

  it('names the code of a failure and what to do', async () => {
    const failed = await cli(['inspect', join(files.dir, 'nowhere')]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toMatch(/^isthmus: .*nowhere.* \[bad-package\]\n {2}.*import the model again/);
  });
});

describe('isthmus import', () => {
  it('reads what is beside the model and one folder up, and says so', async () => {
    const folder = join(files.dir, 'export');
    const onnx = join(folder, 'onnx');
    await mkdir(onnx, { recursive: true });
    for (const name of ['encoder.onnx', 'decoder.onnx']) {
      await writeFile(join(onnx, name), await readFile(join(files.dir, name)));
    }
    await writeFile(join(folder, 'tokenizer.json'), '{"version":"1.0"}');
    await writeFile(join(onnx, 'tokenizer_config.json'), '{"a":1}');
    await writeFile(
      join(folder, 'generation_config.json'),
      JSON.stringify({ eos_token_id: [2, 3], max_length: 77 }),
    );
    const config = { decoder_start_token_id: TINY.bosToken, bos_token_id: 9, eos_token_id: 9 };
    await writeFile(join(folder, 'config.json'), JSON.stringify(config));
    await writeFile(join(folder, 'preprocessor_config.json'), '{"sampling_rate": 8000}');
    const out = join(folder, 'package');
    const models = [join(onnx, 'encoder.onnx'), join(onnx, 'decoder.onnx')];
    const made = await cli(['import', ...models, '--out', out, '--name', 'n', '--json']);
    expect(made.code).toBe(0);
    const manifest = JSON.parse(await readFile(join(out, MANIFEST_FILE), 'utf8')) as Manifest;
    expect(manifest).toMatchObject({
      name: 'n',
      generation: { bosToken: TINY.bosToken, eosTokens: [2, 3], maxTokens: 77 },
      tokenizer: { tokenizer: 'tokenizer.json', config: 'tokenizer_config.json' },
    });
    expect(manifest.audio?.sampleRate).toBe(8000);
    expect(await readFile(join(out, 'tokenizer.json'), 'utf8')).toBe('{"version":"1.0"}');
    const summary = JSON.parse(made.stdout) as {
      notes: string[];
      blocks: number;
      cuts: number;
      bytes: number;
    };
    expect(summary).toMatchObject({
      name: 'n',
      out,
      blocks: manifest.blocks.length,
      cuts: manifest.cuts.length,
    });
    const notes = summary.notes.join('\n');
    for (const said of [
      'generation_config.json',
      'config.json',
      'preprocessor_config.json',
      'per second of audio assumed',
    ]) {
      expect(notes).toContain(said);
    }
    const sizes = await Promise.all(
      Object.keys(manifest.files).map(async (path) => (await readFile(join(out, path))).byteLength),
    );
    expect(summary.bytes).toBe(sizes.reduce((sum, size) => sum + size, 0));

    const flagged = await cli([
      'import',
      ...models,
      '--out',
      out,
      '--name',
      'n',
      '--eos',
      '4',
      '--eos',
      '5,6',
      '--bos',
      '7',
      '--max-tokens',
      '9',
    ]);
    expect(flagged.code).toBe(0);
    const again = JSON.parse(await readFile(join(out, MANIFEST_FILE), 'utf8')) as Manifest;
    expect(again.generation).toEqual({ bosToken: 7, eosTokens: [4, 5, 6], maxTokens: 9 });
  });

  it('goes on without a configuration file that is broken, and says so', async () => {
    const folder = join(files.dir, 'broken');
    await mkdir(folder);
    await writeFile(join(folder, 'once.onnx'), await readFile(files.once));
    await writeFile(join(folder, 'config.json'), '{"eos_token_id": ');
    await writeFile(join(folder, 'generation_config.json'), '[1]');
    const made = await cli(['import', join(folder, 'once.onnx'), '--out', join(folder, 'p')]);
    expect(made.code).toBe(0);
    expect(made.stdout).toMatch(/config\.json was not used/);
    expect(made.stdout).toMatch(/generation_config\.json is not a JSON object/);
  });

  it('asks for the tokens of a decoder by the names of their flags', async () => {
    const failed = await cli(['import', files.encoder, files.decoder, '--out', join(files.dir, 'none')]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain('[bad-option]');
    expect(failed.stderr).toContain('--bos N and --eos N');
  });

  it.each([
    ['--bos', 'x'],
    ['--bos', '-1'],
    ['--bos', ''],
    ['--eos', '1,,2'],
    ['--eos', '1.5'],
    ['--max-tokens', '0'],
    ['--sample-rate', '1e9'],
    ['--max-tokens-per-second', 'NaN'],
    ['--tokenizer', '/no/such/file.json'],
  ])('refuses %s %s', async (flag, value) => {
    const args = ['import', files.encoder, files.decoder, '--out', join(files.dir, 'none'), ...TOKEN_FLAGS];
    const failed = await cli([...args, `${flag}=${value}`]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain(flag);
    expect(failed.stderr).toContain('[bad-option]');
    expect(existsSync(join(files.dir, 'none'))).toBe(false);
  });

  it('replaces a package of its name, another one by --force alone, and nothing else', async () => {
    const out = join(files.dir, 'replace');
    const importAs = (...args: string[]) => cli(['import', files.once, '--out', out, ...args]);
    expect(await importAs('--name', 'a')).toMatchObject({ code: 0 });
    expect(await importAs('--name', 'a')).toMatchObject({ code: 0 });
    const other = await importAs('--name', 'b');
    expect(other).toMatchObject({ code: 1 });
    expect(other.stderr).toContain('--force');
    expect(await importAs('--name', 'b', '--force')).toMatchObject({ code: 0 });
    expect((await cli(['inspect', out])).stdout).toMatch(/^b: /);

    const foreign = join(files.dir, 'photos');
    await mkdir(foreign);
    await writeFile(join(foreign, 'cat.jpg'), 'x');
    const refused = await cli(['import', files.once, '--out', foreign, '--force']);
    expect(refused).toMatchObject({ code: 1 });
    // Before any work: nothing was read yet.
    expect(refused.stderr).not.toContain('reading');
    expect(await readdir(foreign)).toEqual(['cat.jpg']);
  });
});

describe('isthmus inspect', () => {
  interface Inspected {
    blocks: Record<string, unknown>[];
    cuts: { cut: number; bytesPerToken: number; sent: { phase: string; bytes: number; name: string }[] }[];
  }

  it('prints one JSON document of blocks and cuts', async () => {
    const shown = await cli(['inspect', pkg, '--json']);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(shown.stdout) as Inspected;
    expect(Object.keys(report)).toEqual(['blocks', 'cuts']);
    expect(report.cuts.length).toBe(report.blocks.length + 1);
    for (const block of report.blocks) {
      expect(Object.keys(block)).toEqual(['index', 'stage', 'weightBytes', 'nodes', 'shards']);
    }
    for (const cut of report.cuts) {
      expect(Object.keys(cut)).toEqual(['cut', 'bytesPerToken', 'sent', 'recomputed']);
      for (const tensor of cut.sent) {
        expect(Object.keys(tensor)).toEqual(['name', 'dtype', 'dims', 'phase', 'bytes', 'lossy']);
      }
    }
    const manifest = JSON.parse(await readFile(join(pkg, MANIFEST_FILE), 'utf8')) as Manifest;
    const [encoder, decoder] = manifest.stages;
    const at = (cut: number | undefined) => report.cuts[cut ?? -1];
    // One frame of features in, one residual row between layers, one residual per token.
    expect(at(0)?.bytesPerToken).toBe(4 * TINY.features);
    expect(at(1)?.bytesPerToken).toBe(4 * TINY.hidden);
    expect(at(encoder?.to)?.bytesPerToken).toBe(4 * TINY.hidden);
    expect(at((decoder?.from ?? 0) + 1)?.sent.some((tensor) => tensor.phase === 'step')).toBe(true);
    expect(at((decoder?.from ?? 0) + 1)?.bytesPerToken).toBe(4 * TINY.hidden);
    expect(report.cuts.at(-1)).toMatchObject({ bytesPerToken: 0, sent: [] });
  });

  it('prints an aligned table with the names of the stages', async () => {
    const { stdout } = await cli(['inspect', pkg]);
    const lines = stdout.split('\n');
    const head = lines.findIndex((line) => line.includes('weights'));
    const stageAt = lines[head]?.indexOf('stage') ?? -1;
    expect(lines[head + 1]?.slice(stageAt)).toMatch(/^encoder /);
    expect(stdout).toContain('decoder');
    expect(stdout).toContain('bytes/token');
  });
});

describe('isthmus verify', () => {
  it('prints one JSON document and keeps progress apart', async () => {
    const done = await cli(['verify', pkg, '--json', '--max-tokens', '9']);
    const verdict = JSON.parse(done.stdout) as { cuts: { cut: number }[] };
    const count = verdict.cuts.length;
    expect(verdict).toEqual({
      model: 'speech',
      cuts: Array.from({ length: count }, (_, cut) => ({ cut, maxAbsDiff: 0, tokensEqual: true })),
      ok: true,
    });
    expect(done.code).toBe(0);
    expect(done.stderr).toContain(`cut 1 (2 of ${count}), input 2 of 2`);
  });

  it('checks the cuts that are asked for', async () => {
    const done = await cli(['verify', pkg, '--cut', '2', '--cut', '0', '--threads', '1', '--json']);
    expect((JSON.parse(done.stdout) as { cuts: { cut: number }[] }).cuts.map(({ cut }) => cut)).toEqual([
      2, 0,
    ]);
  });

  it.each([
    [['--cut', '99'], 'cut 99'],
    [['--max-tokens', '0'], '--max-tokens'],
    [['--threads', 'many'], '--threads'],
    [['--audio', 'speech.wav'], 'does not take audio'],
  ])('refuses %j', async (args, said) => {
    const failed = await cli(['verify', pkg, ...args]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain(said);
    expect(failed.stderr).toContain('[bad-option]');
  });
});

describe('isthmus serve', () => {
  it('says where it listens, serves the package, and stops when told', async () => {
    let stop = (): void => undefined;
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    let listening: (text: string) => void = () => undefined;
    const announced = new Promise<string>((resolve) => {
      listening = resolve;
    });
    const page = join(files.dir, 'page');
    await mkdir(page);
    await writeFile(join(page, 'index.html'), '<title>page</title>');
    const args = ['serve', pkg, '--port', '0', '--static', page, '--json'];
    const ended = cli(args, { onStdout: listening, untilStopped: () => stopped });
    const { url, port } = JSON.parse(await Promise.race([announced, ended.then(({ stderr }) => stderr)])) as {
      url: string;
      port: number;
    };
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect(await (await fetch(`${url}/`)).text()).toContain('<title>page');
    expect((await fetch(`${url}/v2/models/speech`)).status).toBe(200);
    stop();
    expect(await ended).toMatchObject({ code: 0 });
    await expect(fetch(`${url}/`)).rejects.toThrow();
  });

  it.each([
    [['--port', '70000'], 1, '--port'],
    [['--tls-cert', 'cert.pem'], 2, 'go together'],
    [['--tls-cert', '/no/cert.pem', '--tls-key', '/no/key.pem'], 1, '--tls-cert'],
    [['--static', '/no/such/folder'], 1, '--static'],
  ])('refuses %j', async (args, code, said) => {
    const failed = await cli(['serve', pkg, ...args]);
    expect(failed).toMatchObject({ code, stdout: '' });
    expect(failed.stderr).toContain(said);
  });
});

const built = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

describe.skipIf(!existsSync(built))('the built command line', () => {
  it('runs as a process', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [built, 'inspect', pkg, '--json']);
    expect(Object.keys(JSON.parse(stdout) as object)).toEqual(['blocks', 'cuts']);
    await expect(promisify(execFile)(process.execPath, [built, 'inspect', files.dir])).rejects.toMatchObject({
      code: 1,
    });
  });
});
