import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchHubModel, type HubModelOptions } from '../../../src/package/node/hub/hub-model.ts';
import { type HubServer, startHub } from './hub-server.ts';

const REPO = 'maker/tiny';
let hub: HubServer;
let cache: string;
let waits: number[];

beforeEach(async () => {
  hub = await startHub(REPO, { 'tiny.gguf': new Uint8Array(5000).fill(3) });
  cache = await mkdtemp(join(tmpdir(), 'isthmus-hub-'));
  waits = [];
});

afterEach(async () => {
  await hub.close();
  await rm(cache, { recursive: true, force: true });
});

const bring = (options: Partial<HubModelOptions> = {}, address = `hf:${REPO}`) =>
  fetchHubModel(address, { hub: hub.url, cache, wait: async (ms) => void waits.push(ms), ...options });

const refusal = async (work: Promise<unknown>) => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error as { code: string; message: string; details: { hint: string } };
};

describe('a hub that refuses', () => {
  it('is asked for near names when there is no such repository', async () => {
    const error = await refusal(bring({}, 'hf:maker/tinny'));
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain('maker/tinny does not exist or is private');
    expect(error.details.hint).toContain('did you mean maker/tiny, maker/tiny-GGUF?');
    expect(error.details.hint).toContain('--token');
  });

  it('has no such revision', async () => {
    const error = await refusal(bring({}, `hf:${REPO}@nightly`));
    expect(error).toMatchObject({ code: 'bad-option' });
    expect(error.message).toContain('(revision nightly)');
  });

  it('lists its files when there is none of that name', async () => {
    const error = await refusal(bring({}, `hf:${REPO}/other.gguf`));
    expect(error).toMatchObject({ code: 'bad-option', details: { files: ['tiny.gguf'] } });
    expect(error.message).toContain('tiny.gguf (5.0 kB)');
  });

  it('takes a token for a gated repository, and says how to give one', async () => {
    hub.wrong.gated = true;
    hub.wrong.token = 'hf_secret';
    const error = await refusal(bring());
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain('gated');
    expect(error.details.hint).toMatch(/--token or HF_TOKEN/);
    await bring({ token: 'hf_secret' });
    expect(
      JSON.stringify(await refusal(bring({ token: 'hf_wrong', cache: join(cache, 'b') }))),
    ).not.toContain('hf_wrong');
  });

  it('gets the token; the server that it redirects to does not', async () => {
    hub.wrong.token = 'hf_secret';
    await bring({ token: 'hf_secret' });
    const tokens = (at: string) =>
      hub.seen.filter((request) => request.at === at).map(({ authorization }) => authorization);
    expect(new Set(tokens('hub'))).toEqual(new Set(['Bearer hf_secret']));
    expect(tokens('cdn')).toEqual([undefined]);
  });

  it.each([429, 503])('is waited for as it asks with %s, a bounded number of times', async (status) => {
    hub.wrong.refuse = (_, request) =>
      request < 2 ? { status, headers: { 'retry-after': '7' } } : undefined;
    const notices: string[] = [];
    await bring({ onNotice: (text) => notices.push(text) });
    expect(waits).toEqual([7000, 7000]);
    expect(notices[0]).toContain('7 s');
    hub.wrong.refuse = () => ({ status, headers: { 'retry-after': '0' } });
    waits = [];
    expect(await refusal(bring())).toMatchObject({ code: 'endpoint-failed', details: { status } });
    expect(waits).toEqual([0, 0, 0]);
  });

  it.each([
    [429, '3600'],
    [500, '1'],
    [502, undefined],
  ])('is not waited for after %s with Retry-After %s', async (status, after) => {
    hub.wrong.refuse = () => ({ status, headers: after === undefined ? {} : { 'retry-after': after } });
    expect(await refusal(bring())).toMatchObject({ code: 'endpoint-failed', details: { status } });
    expect(waits).toEqual([]);
    expect(hub.seen).toHaveLength(1);
  });

  it('goes round in circles', async () => {
    hub.wrong.refuse = (url) => ({ status: 302, headers: { location: url } });
    expect(await refusal(bring())).toMatchObject({ code: 'endpoint-failed' });
    hub.wrong.refuse = () => ({ status: 302, headers: { location: 'file:///etc/passwd' } });
    expect((await refusal(bring())).message).toContain('file:');
  });

  it('is no hub', async () => {
    hub.wrong.refuse = () => ({ status: 200 });
    expect(await refusal(bring())).toMatchObject({ code: 'endpoint-failed' });
  });

  it('is not there', async () => {
    await hub.close();
    expect(await refusal(bring())).toMatchObject({ code: 'endpoint-lost' });
  });

  it('gives no sign of life', async () => {
    const silent: typeof fetch = () => new Promise(() => undefined);
    expect((await refusal(bring({ fetch: silent, stallMs: 1 }))).message).toContain('no byte came for 1 ms');
  });
});

describe('an address', () => {
  it.each([
    'hf:',
    'hf:tiny',
    'hf:maker/',
    'hf:maker/tiny@',
    'hf:maker/tiny@a b',
    'hf:maker/tiny@..',
    'hf:maker/tiny@%zz',
    'hf:maker/tiny/../x.gguf',
    'hf:maker/tiny//x.gguf',
    'hf:maker/tiny/',
    'hf:maker/ti ny',
    'hf:../tiny',
    'hf:maker/tiny/a\\b.gguf',
  ])('%s is refused without a request', async (address) => {
    expect(await refusal(bring({}, address))).toMatchObject({ code: 'bad-option' });
    expect(hub.seen).toEqual([]);
  });

  it.each(['ftp://x', 'nowhere', 'https://user:pass@hub', 'https://hub/?x=1'])(
    'a hub at %s is refused',
    async (url) => {
      expect(await refusal(bring({ hub: url }))).toMatchObject({ code: 'bad-option' });
    },
  );

  it('a token with a line break is refused', async () => {
    expect(await refusal(bring({ token: 'a\nb' }))).toMatchObject({ code: 'bad-option' });
  });

  it('hostile paths of a listing are not taken', async () => {
    for (const path of ['../../evil.gguf', '/evil.gguf', 'C:\\evil.gguf', 'a/../../evil.gguf']) {
      hub.put(path, new Uint8Array(2000));
    }
    expect((await bring()).plan.files.map(({ path }) => path)).toEqual(['tiny.gguf']);
  });
});
