/** WAV files built by hand, right and wrong. */
export const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

export function little(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => Math.floor(value / 256 ** index) % 256);
}

/** `size` may lie about the body; odd bodies are padded. */
export function chunk(name: string, body: Uint8Array, size = body.length): Uint8Array {
  return join(ascii(name), little(size, 4), body, new Uint8Array(body.length % 2));
}

export interface FormatFields {
  readonly code?: number;
  readonly channels?: number;
  readonly sampleRate?: number;
  readonly bits?: number;
  readonly blockAlign?: number;
}

export function format(fields: FormatFields = {}): Uint8Array {
  const { code = 1, channels = 1, sampleRate = 16_000, bits = 16 } = fields;
  const blockAlign = fields.blockAlign ?? (channels * bits) / 8;
  return join(
    little(code, 2),
    little(channels, 2),
    little(sampleRate, 4),
    little(sampleRate * blockAlign, 4),
    little(blockAlign, 2),
    little(bits, 2),
  );
}

const GUID_TAIL = Uint8Array.from([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);

export function extensible(fields: FormatFields, subFormat: number, tail = GUID_TAIL): Uint8Array {
  const body = format({ ...fields, code: 0xfffe });
  return join(body, little(22, 2), little(fields.bits ?? 16, 2), little(0, 4), little(subFormat, 2), tail);
}

export function riff(...chunks: readonly Uint8Array[]): Uint8Array {
  const body = join(ascii('WAVE'), ...chunks);
  return join(ascii('RIFF'), little(body.length, 4), body);
}

export function wav(fields: FormatFields, data: Uint8Array): Uint8Array {
  return riff(chunk('fmt ', format(fields)), chunk('data', data));
}
