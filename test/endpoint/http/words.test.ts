import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../src/endpoint/endpoint.ts';
import { createEndpoint } from '../../../src/node/create-endpoint.ts';
import { type OpenedPackage, openPackage } from '../../../src/package/node/open-package.ts';
import { MAX_TEXTS_PER_CONNECTION } from '../../../src/protocol/limits.ts';
import { openPart } from '../../../src/tasks/token-reader.ts';
import { textTokenizer } from '../../../src/tasks/tokenizer.ts';
import { httpWords } from '../../../src/transport/http-words.ts';
import { importedPackage } from '../../fixtures/packages.ts';
import { importSpeech, onDisk } from '../packages.ts';
import { StreamClient } from '../stream-client.ts';
import { start } from '../with-endpoint.ts';

const MODEL = 'moonshine-tiny-q8';
const SENTENCES = [
  'She had your dark suit',
  ' in greasy wash water',
  '漢字 \u{1F600} \ud800',
  'x'.repeat(4000),
];

let pkg: OpenedPackage;
let endpoint: Endpoint | undefined;

beforeAll(async () => {
  pkg = await openPackage(await importedPackage(MODEL));
});

afterEach(() => endpoint?.close({ graceMs: 0 }));

describe('words at an endpoint', () => {
  it('are those of the tokenizer of its package', async () => {
    endpoint = await createEndpoint({ packages: [pkg], warm: false });
    const far = httpWords(`${endpoint.url}/`, MODEL, fetch);
    const here = await textTokenizer({ manifest: pkg.manifest, readFile: (path) => pkg.source.read(path) });
    for (const text of SENTENCES) {
      for (const special of [true, false]) {
        expect(await far.encode(text, special)).toEqual(here.encode(text, { special }));
      }
      const tokens = here.encode(text);
      const reader = openPart(await far.read(tokens));
      expect(reader.text(tokens)).toBe(here.text(tokens));
    }
  });

  it('cost as much as they are long', async () => {
    endpoint = await createEndpoint({ packages: [pkg], warm: false });
    const answer = await fetch(`${endpoint.url}/v2/models/${MODEL}/words`, {
      method: 'POST',
      body: JSON.stringify({ tokens: [300, 301, 302] }),
    });
    expect((await answer.text()).length).toBeLessThan(1000);
  });

  it('are refused with a code where the question is none, too long, or of nobody', async () => {
    endpoint = await createEndpoint({ packages: [pkg], warm: false });
    const far = httpWords(endpoint.url, MODEL, fetch);
    await expect(far.encode('', false)).rejects.toMatchObject({ code: 'bad-frame' });
    await expect(far.encode('x'.repeat(2 ** 20), false)).rejects.toMatchObject({ code: 'limit-exceeded' });
    await expect(far.read(Array.from({ length: 5000 }, () => 1))).rejects.toMatchObject({
      code: 'limit-exceeded',
    });
    await expect(far.read([300], AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
    const nobody = httpWords(endpoint.url, 'nobody', fetch);
    await expect(nobody.read([300])).rejects.toMatchObject({ code: 'unknown-model' });
    const address = `${endpoint.url}/v2/models/${MODEL}/words`;
    const long = await fetch(address, { method: 'POST', body: ' '.repeat(2 ** 20) });
    expect(await long.json()).toMatchObject({ parameters: { code: 'limit-exceeded' } });
    expect((await fetch(address)).status).toBe(405);
    // And goes on.
    expect((await far.read([300])).texts.size).toBe(1);
  });

  it('come over a stream as over HTTP', async () => {
    endpoint = await createEndpoint({ packages: [pkg], warm: false });
    const far = httpWords(endpoint.url, MODEL, fetch);
    const client = await StreamClient.connect(endpoint.url);
    for (const [id, text] of SENTENCES.entries()) {
      for (const special of [true, false]) {
        client.send({ type: 'encode', id, model: MODEL, text, special });
        const tokens = await far.encode(text, special);
        expect(await client.next('encoded')).toEqual({ type: 'encoded', id, tokens });
      }
    }
    client.socket.close();
  });

  it('are refused on a stream with the id of the question, and the stream goes on', async () => {
    endpoint = await createEndpoint({ packages: [pkg], warm: false });
    const client = await StreamClient.connect(endpoint.url);
    const ask = (id: number, model = MODEL) =>
      client.send({ type: 'encode', id, model, text: 'two lands', special: false });
    ask(1, 'nobody');
    expect(await client.next('error')).toMatchObject({ id: 1, error: { code: 'unknown-model' } });
    // At once: the first ones are still being cut.
    for (let id = 2; id < 2 + MAX_TEXTS_PER_CONNECTION; id += 1) ask(id);
    ask(2);
    ask(99);
    const answers = new Map<number, unknown>();
    for (let count = 0; count < 2 + MAX_TEXTS_PER_CONNECTION; count += 1) {
      const answer = await client.any();
      if (answer.type === 'error') answers.set(answer.id, answer.error.code);
      else if (answer.type === 'encoded' && !answers.has(answer.id)) answers.set(answer.id, answer.tokens);
    }
    expect(answers.get(99)).toBe('limit-exceeded');
    expect(answers.get(2)).toBe('bad-frame');
    expect(answers.size).toBe(1 + MAX_TEXTS_PER_CONNECTION);
    ask(100);
    expect(await client.next('encoded')).toMatchObject({ id: 100 });
    client.socket.close();
  });

  it('are told of no package whose tokenizer nobody reads', async () => {
    const bare = await start({ packages: [await onDisk(await importSpeech('speech', []))], warm: false });
    await expect(httpWords(bare.url, 'speech', fetch).read([1])).rejects.toMatchObject({
      code: 'unsupported-model',
    });
  });
});
