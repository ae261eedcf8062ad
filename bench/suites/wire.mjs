/** What crosses the wire under every plan: counts, the same on any machine. */
import { bytes, table } from '../report/table.mjs';
import { planChoices } from './plan-list.mjs';

const CODECS = ['fp32', 'fp16', 'int8'];

/** Of one sample of plain PCM, which an app without a model on the device would send. */
const PCM_BYTES = 2;

/** @param {import('../setup/world.mjs').World} world */
export async function measureWire(world) {
  const { recordings, packageUrl, log } = world;
  const recording = recordings[Math.floor(recordings.length / 2)];
  const page = await world.openPage();
  try {
    const opened = { codecs: CODECS, provider: 'wasm', fallback: false };
    await page.evaluate(
      async ([url, options]) => {
        await bench.open(url, options);
        await bench.prefetch();
      },
      [packageUrl, opened],
    );
    const transcribe = (plan) =>
      page.evaluate(([name, choice]) => bench.transcribe(name, choice), [recording.name, plan]);
    const local = await transcribe('local');
    const { plans } = await page.evaluate(
      ([name, tokens]) => bench.explain(name, tokens),
      [recording.name, local.tokens.length],
    );
    const rows = [];
    for (const { id, choice } of planChoices(plans)) {
      log(`wire: ${id}`);
      const { text, report } = choice === 'local' ? local : await transcribe(choice);
      if (report.plan.id !== id) throw new Error(`asked for ${id}, ran ${report.plan.id}`);
      const { bytesUp, bytesDown, roundTrips } = report;
      rows.push({ id, bytesUp, bytesDown, roundTrips, isEqual: text === local.text });
    }
    const pcm = recording.samples.length * PCM_BYTES;
    return {
      title: `wire: ${recording.name}, ${recording.seconds.toFixed(1)} s, ${local.tokens.length} tokens`,
      text: describe(rows, pcm),
      results: { recording: recording.name, tokens: local.tokens.length, pcmBytes: pcm, plans: rows },
    };
  } finally {
    await page.context().close();
  }
}

function describe(rows, pcm) {
  const cells = rows.map(({ id, bytesUp, bytesDown, roundTrips, isEqual }) => [
    id,
    bytes(bytesUp),
    (bytesUp / pcm).toFixed(2),
    bytes(bytesDown),
    String(roundTrips),
    isEqual ? 'yes' : 'no',
  ]);
  return [
    table(['plan', 'bytes up', 'of PCM', 'bytes down', 'round trips', 'text as local'], cells),
    `16-bit PCM of the same sound: ${bytes(pcm)} bytes`,
  ].join('\n');
}
