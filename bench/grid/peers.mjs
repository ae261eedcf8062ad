/** Apps that have no model in the page: speech goes up as a good one would send it. Text is the plan `remote` itself. */

/** @returns {Promise<Record<string, () => Promise<object>>>} a request of each, by name; none for text */
export async function cloudPeers(page, { recording }, { appUrl }) {
  if (recording === undefined) return {};
  const codecs = (await page.evaluate(() => bench.hasOpus())) ? ['pcm16', 'opus'] : ['pcm16'];
  const ask = async (codec) => {
    const { ms, bytesUp } = await page.evaluate(
      ([url, name, how]) => bench.cloud(url, name, how),
      [appUrl, recording.name, codec],
    );
    return { totalMs: ms, bytesUp };
  };
  return Object.fromEntries(codecs.map((codec) => [codec, () => ask(codec)]));
}
