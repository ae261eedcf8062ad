/** Looks at the device round requests that the endpoint alone runs. */
import { describe, expect, it } from 'vitest';
import { RECHECK_AFTER_MS } from '../../src/device/recheck.ts';
import { IdleWatch } from '../../src/session/idle.ts';
import type { Shared } from '../../src/session/parts.ts';
import { Turns } from '../../src/session/turns.ts';

const LOOK_MS = 10;

/** A request that does so much in its turn. */
async function request(work: () => unknown): Promise<void> {
  await Promise.resolve();
  await work();
}

function watching() {
  let now = 0;
  let left = 0;
  const looks: { readonly signal: AbortSignal; readonly end: () => void }[] = [];
  const device = {
    get isFree() {
      return left === 0;
    },
    leave: (work: Promise<unknown>) => {
      left += 1;
      void work.finally(() => {
        left -= 1;
      });
    },
  };
  // A boundary: of all that a session shares, this is what looks touch.
  const shared = {
    device,
    parts: { clock: { now: () => now, epoch: () => 0 } },
    timeout: () => new AbortController().signal,
  } as unknown as Shared;
  const stop = new AbortController();
  const watch = new IdleWatch(shared, new Turns(), stop.signal, {
    sinceSeenMs: () => RECHECK_AFTER_MS,
    isDoubted: () => false,
    recheck: (signal) =>
      new Promise((resolve) => {
        const end = (): void => {
          now += LOOK_MS;
          resolve(true);
        };
        looks.push({ signal, end });
      }),
  });
  return {
    looks,
    watch,
    later: (ms: number) => {
      now += ms;
    },
    /** Has the looks under way end. */
    settle: async () => {
      for (const { end } of looks) end();
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

describe('behind a request at the endpoint', () => {
  it('the device is looked at once more, where it was looked at beside it', async () => {
    const { looks, watch, settle } = watching();
    await watch.during(
      request(async () => {
        watch.besideEndpoint();
        expect(looks.length).toBe(1);
        await settle();
        watch.behindEndpoint();
      }),
    );
    expect(looks.length).toBe(2);
    await settle();
    // Neither beside the next one nor behind it, so soon.
    await watch.during(
      request(() => {
        watch.besideEndpoint();
        watch.behindEndpoint();
      }),
    );
    expect(looks.length).toBe(2);
  });

  it('and that ends when the next one comes', async () => {
    const { looks, watch, settle, later } = watching();
    later(RECHECK_AFTER_MS);
    await watch.during(request(() => watch.behindEndpoint()));
    expect(looks.map(({ signal }) => signal.aborted)).toEqual([false]);
    await watch.during(Promise.resolve());
    expect(looks.map(({ signal }) => signal.aborted)).toEqual([true]);
    await settle();
  });

  it('but not while another one waits, or what was left still runs', async () => {
    const { looks, watch, settle } = watching();
    let goOn: () => void = () => undefined;
    const first = watch.during(
      request(async () => {
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
        watch.behindEndpoint();
      }),
    );
    const second = watch.during(first);
    await Promise.resolve();
    goOn();
    await second;
    expect(looks.length).toBe(0);
    await watch.during(
      request(() => {
        watch.besideEndpoint();
        watch.behindEndpoint();
      }),
    );
    expect(looks.length).toBe(1);
    await settle();
  });
});
