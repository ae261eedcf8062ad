import { get } from 'node:https';
import { generate } from 'selfsigned';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createEndpoint } from '../../src/endpoint/endpoint.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { decodeServerMessage } from '../../src/protocol/frame.ts';
import { importOnce, onDisk } from './packages.ts';
import { start } from './with-endpoint.ts';

let once: OpenedPackage;

beforeAll(async () => {
  once = await onDisk(await importOnce());
});

describe('an endpoint', () => {
  it('speaks HTTPS and WSS when it has a certificate', async () => {
    const pems = await generate([{ name: 'commonName', value: 'localhost' }], { keySize: 2048 });
    const { url } = await start({ packages: [once], tls: { cert: pems.cert, key: pems.private } });
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    // Made for this test alone; its name is not the address.
    const trust = { ca: pems.cert, rejectUnauthorized: false };
    const status = await new Promise((resolve, reject) => {
      get(`${url}/v2/health/live`, trust, (response) => resolve(response.resume().statusCode)).on(
        'error',
        reject,
      );
    });
    expect(status).toBe(200);
    const socket = new WebSocket(`${url.replace('https', 'wss')}/v2/stream`, trust);
    const hello = await new Promise<Buffer>((resolve, reject) => {
      socket.on('message', (data: Buffer) => resolve(data)).on('error', reject);
    });
    expect(decodeServerMessage(hello)).toMatchObject({ type: 'hello', models: ['once'] });
    socket.terminate();
  });

  it('takes streams at one address only', async () => {
    const { url } = await start({ packages: [once] });
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v2/other`);
    const error = await new Promise<Error>((resolve) => socket.on('error', resolve));
    expect(error.message).toContain('404');
  });

  it('refuses options that make no sense', async () => {
    const taken = await start({ packages: [once] });
    const wrong = [
      { packages: [] },
      { packages: [once, once] },
      { packages: [once], threads: 0 },
      { packages: [once], maxSessions: 1.5 },
      { packages: [once], port: 70_000 },
      { packages: [once], port: taken.port },
      { packages: [once], tls: { cert: 'none', key: 'none' } },
    ];
    for (const options of wrong) {
      await expect(createEndpoint(options)).rejects.toMatchObject({ code: 'bad-option' });
    }
  });
});
