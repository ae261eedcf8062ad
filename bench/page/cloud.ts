/** The page's side of an app that has no model: it sends what was spoken, as 16-bit PCM or as Opus, and gets tokens. */

export type CloudCodec = 'pcm16' | 'opus';

export interface CloudAnswer {
  readonly tokens: readonly number[];
  /** From the samples to the tokens, encoding included. */
  readonly ms: number;
  readonly bytesUp: number;
}

const SAMPLE_RATE = 16_000;

/** Clear wideband speech (RFC 7587, section 3.1.1: 16-20 kbit/s; above it for room). */
const OPUS_BITS_PER_SECOND = 24_000;

export async function askCloud(
  url: string,
  name: string,
  samples: Float32Array,
  codec: CloudCodec,
): Promise<CloudAnswer> {
  const started = performance.now();
  const body = codec === 'pcm16' ? toPcm16(samples) : await toOpus(samples);
  // No header of our own: one would cost a preflight, and with it a round trip that no good app pays.
  const response = await fetch(`${url}${codec}?name=${encodeURIComponent(name)}`, { method: 'POST', body });
  if (!response.ok) throw new Error(`the app answered ${response.status}: ${await response.text()}`);
  const tokens: number[] = await response.json();
  return { tokens, ms: performance.now() - started, bytesUp: body.size };
}

function toPcm16(samples: Float32Array): Blob {
  const pcm = Int16Array.from(samples, (value) => Math.round(Math.max(-1, Math.min(1, value)) * 32_767));
  return new Blob([pcm]);
}

/** Packets one after another, as a container of the least overhead would hold them. */
async function toOpus(samples: Float32Array): Promise<Blob> {
  const packets: Uint8Array<ArrayBuffer>[] = [];
  let failure: DOMException | undefined;
  const encoder = new AudioEncoder({
    output: (chunk) => {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      packets.push(bytes);
    },
    error: (error) => {
      failure = error;
    },
  });
  encoder.configure({
    codec: 'opus',
    sampleRate: SAMPLE_RATE,
    numberOfChannels: 1,
    bitrate: OPUS_BITS_PER_SECOND,
  });
  const data = new AudioData({
    format: 'f32',
    sampleRate: SAMPLE_RATE,
    numberOfFrames: samples.length,
    numberOfChannels: 1,
    timestamp: 0,
    data: new Float32Array(samples),
  });
  encoder.encode(data);
  data.close();
  await encoder.flush();
  encoder.close();
  if (failure !== undefined) throw failure;
  if (packets.length === 0) throw new Error(`no Opus came of ${samples.length / SAMPLE_RATE} s`);
  return new Blob(packets);
}
