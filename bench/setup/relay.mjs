/**
 * A link between two ports of this machine: a rate and half a round trip in each direction, shared by all
 * connections as a user's access line is. Bytes depart in the order in which they came (one queue per
 * direction). Each connection may have one round trip's worth in the queue, as TCP's window would let it: packet
 * by packet it sends on as its own depart, and is not read further before; one that sends little waits behind
 * what is queued, and for nothing else. A connection's first bytes wait a round trip longer, for its handshake.
 * TCP's slow start and losses are not played.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Bytes that depart as one; as large as an Ethernet frame's payload, so that flows mix as they do there. */
const PACKET_BYTES = 1448;

/** Of a queue at least: some packets must fit, however short the round trip, and timers are no finer than a few ms. */
const MIN_QUEUE_BYTES = 16 * 1024;
const MIN_QUEUE_MS = 8;

/** A sink that has taken less than this is not a bottleneck. */
const SINK_BYTES = 1024 * 1024;

/** A first visit's line: a mediocre home or a good phone. */
export const FIRST_VISIT_LINK = { rttMs: 40, upBitsPerSecond: 20e6, downBitsPerSecond: 20e6 };

export const portOf = ({ url }) => Number(new URL(url).port);

/**
 * @typedef {object} Relay
 * @property {number} port to connect to, on 127.0.0.1
 * @property {(port: number) => void} aim where new connections go
 * @property {(link: { rttMs: number, upBitsPerSecond: number, downBitsPerSecond: number }) => void} shape what the
 *   line is from now on, for connections that stand as well
 * @property {(isCut: boolean) => void} sever true: what stands breaks and nothing connects, until it is told false
 * @property {(epochMs?: number) => { up: number, down: number }} bytes delivered until then; default: now
 * @property {() => Promise<void>} close
 */

/**
 * @param {{ target: number, rttMs: number, upBitsPerSecond: number, downBitsPerSecond: number, isDated?: boolean }} link
 *   `isDated`: `bytes` can be asked of the past; over hours of traffic that is gigabytes of notes
 * @returns {Promise<Relay>}
 */
export async function startRelay({ target, rttMs, upBitsPerSecond, downBitsPerSecond, isDated = true }) {
  let aimed = target;
  let handshakeMs = rttMs;
  let isSevered = false;
  const up = new Direction(upBitsPerSecond, rttMs, isDated);
  const down = new Direction(downBitsPerSecond, rttMs, isDated);
  const sockets = new Set();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    if (isSevered) {
      client.destroy();
      return;
    }
    const far = connect({ port: aimed, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    for (const socket of [client, far]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    up.carry(client, far, handshakeMs);
    down.carry(far, client, 0);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    aim: (port) => {
      aimed = port;
    },
    shape: (link) => {
      handshakeMs = link.rttMs;
      up.shape(link.upBitsPerSecond, link.rttMs);
      down.shape(link.downBitsPerSecond, link.rttMs);
    },
    sever: (isCut) => {
      isSevered = isCut;
      if (isCut) for (const socket of sockets) socket.destroy();
    },
    bytes: (epochMs = Infinity) => ({ up: up.bytesUntil(epochMs), down: down.bytesUntil(epochMs) }),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      up.stop();
      down.stop();
      server.close();
      await once(server, 'close');
    },
  };
}

class Direction {
  #bytesPerMs;
  #delayMs;
  #queueMs;
  /** When the line has sent all that is queued, ms of `performance.now()`. */
  #freeAt = 0;
  /** `{ at, deliver }`, soonest first: one rate and one delay keep the order. */
  #flying = [];
  #timer;
  /** What each source has read and not sent yet, which is not read further meanwhile. */
  #backlogs = new Map();
  /** `[epoch ms, bytes so far]`. */
  #record = [];
  #bytes = 0;
  #isDated;

  constructor(bitsPerSecond, rttMs, isDated) {
    this.#isDated = isDated;
    this.shape(bitsPerSecond, rttMs);
  }

  /** What is under way arrives as it would have. */
  shape(bitsPerSecond, rttMs) {
    this.#bytesPerMs = bitsPerSecond / 8 / 1000;
    this.#delayMs = rttMs / 2;
    this.#queueMs = Math.max(rttMs, MIN_QUEUE_MS, MIN_QUEUE_BYTES / this.#bytesPerMs);
  }

  carry(source, sink, handshakeMs) {
    const opensAt = performance.now() + handshakeMs;
    const backlog = { packets: [], queued: 0, opensAt, sink };
    this.#backlogs.set(source, backlog);
    source.on('data', (chunk) => {
      for (let from = 0; from < chunk.length; from += PACKET_BYTES) {
        backlog.packets.push(chunk.subarray(from, from + PACKET_BYTES));
      }
      this.#sendOn(source, backlog);
    });
    const atEnd = (work) => {
      backlog.packets.push(work);
      this.#sendOn(source, backlog);
    };
    source.once('end', () => atEnd(() => sink.end()));
    source.once('error', () => undefined);
    sink.on('drain', () => this.#sendOn(source, backlog));
    source.once('close', () => {
      // What it sent before it went still arrives; then its peer is gone.
      atEnd(() => (sink.writableLength === 0 ? sink.destroy() : sink.destroySoon()));
      backlog.isOver = true;
    });
  }

  bytesUntil(epochMs) {
    const after = this.#record.findIndex(([at]) => at > epochMs);
    if (after < 0) return this.#bytes;
    return this.#record[after - 1]?.[1] ?? 0;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#flying = [];
  }

  #send(bytes, opensAt, deliver) {
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + bytes / this.#bytesPerMs;
    // A handshake delays one connection and leaves the line to the others: its bytes fly longer.
    const at = Math.max(this.#freeAt, opensAt) + this.#delayMs;
    const last = this.#flying.at(-1);
    if (last === undefined || last.at <= at) this.#flying.push({ at, deliver });
    else this.#flying.splice(1 + this.#flying.findLastIndex((one) => one.at <= at), 0, { at, deliver });
    this.#wait();
  }

  #wait() {
    if (this.#timer !== undefined) return;
    const [next] = this.#flying;
    if (next === undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      let due = 0;
      while (due < this.#flying.length && this.#flying[due].at <= now) due += 1;
      for (const { deliver } of this.#flying.splice(0, due)) deliver();
      this.#letOn();
      this.#wait();
    }, next.at - performance.now());
  }

  /** As many packets as the connection may have in the queue. */
  #sendOn(source, backlog) {
    const { packets, sink, opensAt } = backlog;
    const window = this.#queueMs * this.#bytesPerMs;
    let sent = 0;
    while (sent < packets.length && backlog.queued < window && !(sink.writableLength > SINK_BYTES)) {
      const packet = packets[sent];
      sent += 1;
      if (typeof packet === 'function') {
        this.#send(0, opensAt, packet);
        continue;
      }
      backlog.queued += packet.length;
      this.#send(packet.length, opensAt, () => {
        backlog.queued -= packet.length;
        this.#note(packet.length);
        if (!sink.destroyed && sink.writable) sink.write(packet);
      });
    }
    packets.splice(0, sent);
    if (packets.length > 0) source.pause();
    else if (backlog.isOver) this.#backlogs.delete(source);
    else if (source.isPaused()) source.resume();
  }

  #letOn() {
    for (const [source, backlog] of this.#backlogs) {
      if (backlog.packets.length > 0 || backlog.isOver) this.#sendOn(source, backlog);
    }
  }

  #note(bytes) {
    this.#bytes += bytes;
    if (this.#isDated) this.#record.push([performance.timeOrigin + performance.now(), this.#bytes]);
  }
}
