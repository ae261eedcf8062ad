import { mkdir, writeFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { asFloat32 } from '../../../src/core/tensor.ts';
import type { OpenedPackage } from '../../../src/package/node/open-package.ts';
import { createNodeRunner } from '../../../src/runtime/node/ort-node.ts';
import { httpInfer } from '../../../src/transport/http.ts';
import { TINY } from '../../fixtures/tiny-models.ts';
import { importOnce, importSpeech, onDisk } from '../packages.ts';
import { connect, crossed, features, opened, reference, start } from '../with-endpoint.ts';

let speech: OpenedPackage;
let once: OpenedPackage;
let pages: string;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  once = await onDisk(await importOnce());
  pages = join(dirname(speech.dir), 'pages');
  await mkdir(join(pages, 'sub'), { recursive: true });
  await writeFile(join(pages, 'index.html'), '<title>a page</title>');
  await writeFile(join(pages, 'sub', 'a.mjs'), 'export {};');
  await writeFile(join(pages, '.hidden'), 'secret');
});

/** Sends bytes as they are, which `fetch` would tidy up, and returns all that comes back. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(port, '127.0.0.1', () => socket.write(text));
    let heard = '';
    socket.on('data', (data) => {
      heard += data.toString('latin1');
    });
    socket.on('close', () => resolve(heard));
    socket.on('error', reject);
  });
}

describe('what an endpoint says of itself', () => {
  it('follows the Open Inference Protocol', async () => {
    const { url } = await start({ packages: [speech, once] });
    const json = async (path: string) => (await fetch(url + path)).json();
    expect((await fetch(`${url}/v2/health/live`)).status).toBe(200);
    expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
    expect(await json('/v2')).toMatchObject({ name: 'isthmus', extensions: ['binary_tensor_data'] });
    expect(await json('/v2/models/speech')).toMatchObject({
      name: 'speech',
      inputs: [{ name: 'features', datatype: 'FP32', shape: [1, -1, TINY.features] }],
      outputs: [{ name: 'tokens', datatype: 'INT64', shape: [1, -1] }],
    });
    expect(await json('/v2/models/once')).toMatchObject({
      outputs: [{ name: 'encoded', shape: [1, -1, TINY.hidden] }],
    });
    expect(await json('/v2/models/speech/ready')).toEqual({ name: 'speech', ready: true });
    const unknown = await fetch(`${url}/v2/models/nobody`);
    expect([unknown.status, await unknown.json()]).toMatchObject([
      404,
      { parameters: { code: 'unknown-model' } },
    ]);
  });

  it('is open to pages of any origin', async () => {
    const { url } = await start({ packages: [speech] });
    const preflight = await fetch(`${url}/v2/models/speech/infer`, { method: 'OPTIONS' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST');
    expect(preflight.headers.get('access-control-allow-headers')).toContain(
      'Inference-Header-Content-Length',
    );
    for (const path of ['/v2', '/v2/models/nobody', '/packages/', '/nowhere', '/metrics', '/%']) {
      const { headers } = await fetch(url + path);
      expect([path, headers.get('access-control-allow-origin')]).toEqual([path, '*']);
      expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  it('counts for Prometheus', async () => {
    const { url } = await start({ packages: [speech] });
    await httpInfer(url, 'speech', [{ name: 'features', tensor: features() }], {
      fetch,
      parameters: { max_tokens: 3 },
    });
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('isthmus_tokens_total 3\n');
    expect(text).toContain('isthmus_requests_total{kind="infer",outcome="max-tokens"} 1\n');
    expect(text).toContain('isthmus_active_requests 0\n');
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) isthmus_\w+ .+|isthmus_\w+(\{[^}]*\})? [\d.e+-]+)$/);
    }
  });
});

describe('one-shot inference', () => {
  it('runs the whole model on raw input', async () => {
    const { url } = await start({ packages: [speech, once] });
    const answer = await httpInfer(url, 'speech', [{ name: 'features', tensor: features() }], {
      fetch,
      id: 'a1',
    });
    const whole = await reference(speech, features(), 64);
    expect(answer).toMatchObject({ id: 'a1', modelName: 'speech', parameters: { reason: 'max-tokens' } });
    expect(answer.parameters.compute_ms).toBeGreaterThan(0);
    const [tokens] = answer.outputs;
    expect([tokens?.name, tokens?.tensor.dtype, tokens?.tensor.dims]).toEqual(['tokens', 'int64', [1, 64]]);
    const bytes = tokens?.tensor.bytes.slice() ?? new Uint8Array();
    expect([...new BigInt64Array(bytes.buffer)].map(Number)).toEqual(whole);
  });

  it('takes and gives plain JSON', async () => {
    const { url } = await start({ packages: [once] });
    const input = features(2);
    const body = {
      inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2, 8], data: [...asFloat32(input)] }],
      outputs: [{ name: 'encoded' }],
    };
    const response = await fetch(`${url}/v2/models/once/infer`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    expect(response.headers.get('content-type')).toBe('application/json');
    const answer = (await response.json()) as {
      outputs: { name: string; shape: number[]; data: number[] }[];
    };
    expect(answer.outputs).toMatchObject([{ name: 'encoded', shape: [1, 2, TINY.hidden] }]);
    const binary = await httpInfer(url, 'once', [{ name: 'features', tensor: input }], { fetch });
    const [encoded] = binary.outputs;
    if (encoded === undefined) throw new Error('no output');
    expect(answer.outputs[0]?.data).toEqual([...asFloat32(encoded.tensor)]);
  });

  it('runs a span, from any cut and with known tokens', async () => {
    const { url } = await start({ packages: [speech] });
    const whole = await reference(speech, features());
    const blocks = speech.manifest.blocks.length;
    const middle = speech.manifest.stages[0]?.to ?? 0;
    const runner = createNodeRunner(speech.manifest, speech.source);
    const tokensFrom = async (cut: number, parameters: object) => {
      const near = await opened(speech, { from: 0, to: cut }, runner);
      const tensors = crossed(await near.start({ once: { features: features() } }));
      const inputs = Object.values(tensors).flatMap((named) =>
        Object.entries(named).map(([name, tensor]) => ({ name, tensor })),
      );
      const answer = await httpInfer(url, 'speech', inputs, {
        fetch,
        parameters: { span: [cut, blocks], ...parameters },
      });
      const bytes = answer.outputs[0]?.tensor.bytes.slice() ?? new Uint8Array();
      return [...new BigInt64Array(bytes.buffer)].map(Number);
    };
    expect(await tokensFrom(2, { max_tokens: 5 })).toEqual(whole.slice(0, 5));
    expect(await tokensFrom(middle, { max_tokens: 8, prefix: whole.slice(0, 3) })).toEqual(whole.slice(3, 8));
    expect(await tokensFrom(blocks - 1, {})).toEqual(whole.slice(0, 1));
    const head = await httpInfer(url, 'speech', [{ name: 'features', tensor: features() }], {
      fetch,
      parameters: { span: [0, 2], codec: 'int8' },
    });
    expect(head.outputs).toMatchObject([{ name: 'enc.x1', parameters: { phase: 'once', codec: 'int8' } }]);
    await runner.close();
  });

  it('refuses what is wrong with a status and a code, and goes on', async () => {
    const { url } = await start({ packages: [speech], maxInputBytes: 1000 });
    const post = async (body: BodyInit, headers: Record<string, string> = {}, model = 'speech') => {
      const response = await fetch(`${url}/v2/models/${model}/infer`, {
        method: 'POST',
        body,
        headers,
        ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
      } as RequestInit);
      const answer = (await response.json()) as { error: string; parameters?: { code: string } };
      expect(answer.error).not.toBe('');
      return [response.status, answer.parameters?.code];
    };
    const tensor = { name: 'features', datatype: 'FP32', shape: [1, 1, 8], data: [0, 0, 0, 0, 0, 0, 0, 0] };
    const asked = (change: object) => JSON.stringify({ inputs: [tensor], ...change });
    expect(await post('{')).toEqual([400, 'bad-frame']);
    expect(await post('[]')).toEqual([400, 'bad-frame']);
    expect(await post('{}')).toEqual([400, 'bad-tensor']);
    expect(await post(asked({}), {}, 'nobody')).toEqual([404, 'unknown-model']);
    expect(await post(asked({ inputs: [{ ...tensor, shape: [1, 2, 8] }] }))).toEqual([400, 'bad-tensor']);
    expect(await post(asked({ inputs: [{ ...tensor, parameters: { phase: 'never' } }] }))).toEqual([
      400,
      'bad-tensor',
    ]);
    expect(await post(asked({ outputs: [{ name: 'nothing' }] }))).toEqual([400, 'bad-tensor']);
    for (const span of [[1], [0, 99], [3, 3], 'all', [0, 1, 2]]) {
      const [status] = await post(asked({ parameters: { span } }));
      expect([span, status === 400 || status === 413]).toEqual([span, true]);
    }
    const long = Array.from({ length: 640 }, () => 0);
    expect(await post(asked({ inputs: [{ ...tensor, shape: [1, 80, 8], data: long }] }))).toEqual([
      413,
      'input-too-long',
    ]);
    const length = 'Inference-Header-Content-Length';
    expect(await post('{}', { [length]: 'two' })).toEqual([400, 'bad-frame']);
    expect(await post('{}', { [length]: '3' })).toEqual([400, 'bad-frame']);
    expect(await post(new Uint8Array(2 ** 20 + 2000), { [length]: '3' })).toEqual([413, 'limit-exceeded']);
    // Without a length in front, the bound is met while the body arrives.
    let left = 2 ** 20 + 2000;
    const endless = new ReadableStream({
      pull: (controller) => {
        controller.enqueue(new Uint8Array(Math.min(left, 65_536)));
        left -= 65_536;
        if (left <= 0) controller.close();
      },
    });
    expect(await post(endless, { [length]: '3' })).toEqual([413, 'limit-exceeded']);
    const answer = await httpInfer(url, 'speech', [{ name: 'features', tensor: features(2) }], { fetch });
    expect(answer.parameters.reason).toBe('max-tokens');
  });

  it('says that it is full, and when to come again', async () => {
    const endpoint = await start({ packages: [speech], maxSessions: 1 });
    const client = await connect(endpoint);
    // Open between steps, so that it is surely open when the other comes.
    const blocks = speech.manifest.blocks.length;
    const runner = createNodeRunner(speech.manifest, speech.source);
    const near = await opened(speech, { from: 0, to: blocks - 1 }, runner);
    const tensors = crossed(await near.start({ once: { features: features() } }));
    await runner.close();
    client.start({ id: 1, model: 'speech', span: { from: blocks - 1, to: blocks }, tensors });
    await client.next('tokens');
    const response = await fetch(`${endpoint.url}/v2/models/speech/infer`, { method: 'POST', body: '{}' });
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1']);
  });
});

describe('packages', () => {
  it('are listed, and their manifests are asked for anew each time', async () => {
    const { url } = await start({ packages: [speech, once] });
    const list = (await (await fetch(`${url}/packages/`)).json()) as {
      packages: { name: string; manifest: string }[];
    };
    expect(list.packages.map(({ name }) => name)).toEqual(['speech', 'once']);
    const response = await fetch(url + (list.packages[0]?.manifest ?? ''));
    expect(await response.json()).toEqual(JSON.parse(JSON.stringify(speech.manifest)));
    expect(response.headers.get('cache-control')).toBe('no-cache');
    const etag = response.headers.get('etag') ?? '';
    const again = await fetch(response.url, { headers: { 'If-None-Match': etag } });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  it('send their files with validators, whole or in part', async () => {
    const { url } = await start({ packages: [speech] });
    for (const [path, { sha256, bytes }] of Object.entries(speech.manifest.files)) {
      const at = `${url}/packages/speech/${path}`;
      const content = await speech.source.read(path);
      const whole = await fetch(at, { headers: { 'Accept-Encoding': 'identity' } });
      expect(new Uint8Array(await whole.arrayBuffer())).toEqual(new Uint8Array(content));
      expect(whole.headers.get('etag')).toBe(`"${sha256}"`);
      expect(whole.headers.get('cache-control')).toBe(
        path === 'tokenizer.json' ? 'no-cache' : 'public, max-age=31536000, immutable',
      );
      expect(whole.headers.get('accept-ranges')).toBe('bytes');
      const part = await fetch(at, { headers: { Range: 'bytes=3-9' } });
      expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 3-9/${bytes}`]);
      expect(new Uint8Array(await part.arrayBuffer())).toEqual(new Uint8Array(content.slice(3, 10)));
      const changed = await fetch(at, { headers: { Range: 'bytes=3-9', 'If-Range': '"another"' } });
      expect([changed.status, changed.headers.get('content-encoding')]).toEqual([200, null]);
      await changed.arrayBuffer();
      const beyond = await fetch(at, { headers: { Range: `bytes=${bytes}-` } });
      expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${bytes}`]);
      const head = await fetch(at, { method: 'HEAD', headers: { 'Accept-Encoding': 'identity' } });
      expect([head.headers.get('content-length'), await head.text()]).toEqual([String(bytes), '']);
    }
  });

  it.each(['br', 'gzip'])('come compressed by %s where that makes them smaller', async (coding) => {
    const { url } = await start({ packages: [speech] });
    const accepted = { 'Accept-Encoding': coding };
    const paths = ['manifest.json', ...Object.keys(speech.manifest.files)];
    const saved = new Map<string, boolean>();
    for (const path of paths) {
      const at = `${url}/packages/speech/${path}`;
      const plain = await fetch(at, { headers: { 'Accept-Encoding': 'identity' } });
      const bytes = new Uint8Array(await plain.arrayBuffer());
      const response = await fetch(at, { headers: accepted });
      // `fetch` undoes the coding; what went over the line is as long as the answer says.
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
      const isSmaller = Number(response.headers.get('content-length')) < bytes.byteLength;
      expect([path, response.headers.get('content-encoding')]).toEqual([path, isSmaller ? coding : null]);
      expect(response.headers.get('vary')).toBe(isSmaller ? 'Accept-Encoding' : null);
      const head = await fetch(at, { method: 'HEAD', headers: accepted });
      expect(head.headers.get('content-length')).toBe(response.headers.get('content-length'));
      for (const tag of [response, plain].map(({ headers }) => headers.get('etag') ?? '')) {
        const again = await fetch(at, { headers: { ...accepted, 'If-None-Match': tag } });
        expect([again.status, await again.text()]).toEqual([304, '']);
      }
      saved.set(path.replace(/^[0-9a-f]{64}/, ''), isSmaller);
    }
    expect(Object.fromEntries(saved)).toMatchObject({
      'manifest.json': true,
      '.onnx': true,
    });
  });

  it('give away nothing that their manifest does not name', async () => {
    const { url, port } = await start({ packages: [speech], staticDir: pages });
    const outside = [
      '..%2fpages%2findex.html',
      '%2e%2e/pages/index.html',
      'constructor',
      '__proto__',
      '%00',
      'x',
    ];
    for (const path of outside) {
      const response = await fetch(`${url}/packages/speech/${path}`);
      expect([path, response.status]).toEqual([path, 404]);
    }
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    for (const path of [
      '/packages/speech/../../pages/.hidden',
      '/../pages/.hidden',
      '//etc/passwd',
      '/.hidden',
    ]) {
      expect(await raw(port, request(path))).toMatch(/^HTTP\/1\.1 404 /);
    }
    expect((await fetch(`${url}/packages/nobody/manifest.json`)).status).toBe(404);
    expect((await fetch(`${url}/packages/speech/manifest.json`, { method: 'POST' })).status).toBe(405);
  });
});

describe('pages', () => {
  it('are served cross-origin isolated with their types', async () => {
    const { url } = await start({ packages: [speech], staticDir: pages });
    const index = await fetch(`${url}/`);
    expect(await index.text()).toBe('<title>a page</title>');
    expect(index.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(index.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(index.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
    const script = await fetch(`${url}/sub/a.mjs?version=2`);
    expect([script.status, script.headers.get('content-type')]).toEqual([
      200,
      'text/javascript; charset=utf-8',
    ]);
    const tag = script.headers.get('etag') ?? '';
    expect((await fetch(script.url, { headers: { 'If-None-Match': tag } })).status).toBe(304);
    expect((await fetch(`${url}/missing.js`)).status).toBe(404);
    expect((await fetch(`${url}/sub`)).status).toBe(404);
  });
});
