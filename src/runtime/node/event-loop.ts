/** For loops whose runs hold their thread: what waits (messages, sockets) gets its turn before this resolves. */
export const letOthersIn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
