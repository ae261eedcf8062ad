/** The microphone as mono samples. */

/** Longer speech is for a file; this also bounds what a forgotten microphone gathers. */
export const MAX_RECORD_SECONDS = 60;

export interface Recording {
  readonly samples: Float32Array;
  /** Hz. */
  readonly sampleRate: number;
}

export interface Recorder {
  /** Releases the microphone and gives what was heard. */
  stop(): Promise<Recording>;
}

export interface RecorderOptions {
  /** Loudness of the last block, 0..1. */
  readonly onLevel: (level: number) => void;
  /** The limit was reached; call `stop`. */
  readonly onFull: () => void;
}

/** Why this page cannot record, in words for its reader, or `undefined` where it can. */
export function whyNoMicrophone(): string | undefined {
  if (!window.isSecureContext) {
    return 'Browsers give the microphone to secure pages only. Open this page on localhost, or start the demo with “npm start -- --https” and use its https address. Files and the examples work here.';
  }
  if (navigator.mediaDevices?.getUserMedia === undefined || window.AudioWorkletNode === undefined) {
    return 'This browser cannot record. Files and the examples work here.';
  }
  return undefined;
}

/** Call from a click: browsers start audio only then. Rejects with the browser's own `DOMException`. */
export async function startRecording(options: RecorderOptions): Promise<Recorder> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  // At the microphone's own rate: Firefox joins no context of another rate to it.
  const context = new AudioContext();
  const release = async (): Promise<void> => {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
  };
  try {
    await context.audioWorklet.addModule(new URL('capture-worklet.js', document.baseURI));
    const blocks: Float32Array[] = [];
    const most = MAX_RECORD_SECONDS * context.sampleRate;
    let length = 0;
    const capture = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
      if (length >= most) return;
      blocks.push(data);
      length += data.length;
      options.onLevel(loudness(data));
      if (length >= most) options.onFull();
    };
    context.createMediaStreamSource(stream).connect(capture);
    await context.resume();
    return {
      stop: async () => {
        capture.port.onmessage = null;
        await release();
        return { samples: joinBlocks(blocks, length), sampleRate: context.sampleRate };
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

function joinBlocks(blocks: readonly Float32Array[], length: number): Float32Array {
  const samples = new Float32Array(length);
  let offset = 0;
  for (const block of blocks) {
    samples.set(block, offset);
    offset += block.length;
  }
  return samples;
}

/** -60 dB and below is 0, full scale is 1. */
function loudness(block: Float32Array): number {
  const power = block.reduce((sum, value) => sum + value * value, 0) / Math.max(1, block.length);
  return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-9)) / 60));
}
