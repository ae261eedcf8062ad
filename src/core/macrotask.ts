/** Turns of the event loop, so that long work stands aside for whatever waits. */

/**
 * A turn each time: messages that wait are handled before it resolves. For loops; the channel is never closed, so in Node
 * it keeps its thread alive.
 */
export function createMacrotask(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  // Not `setTimeout`, which browsers hold back for 4 ms once it is nested, and for a second in a hidden tab.
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
}

/** One turn; leaves nothing open. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
