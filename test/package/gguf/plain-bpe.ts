/** Byte-level BPE written down plainly: words by llama.cpp's expressions, merges one at a time, best first. */
import { BYTE_TEXTS } from './byte-texts.ts';

export interface PlainBpe {
  readonly ids: ReadonlyMap<string, number>;
  /** Rank of `left right`. */
  readonly ranks: ReadonlyMap<string, number>;
  /** Each cuts what those before it left whole. */
  readonly expressions: readonly RegExp[];
}

function cut(pieces: readonly string[], expression: RegExp): string[] {
  return pieces.flatMap((piece) => {
    const parts: string[] = [];
    let at = 0;
    for (const match of piece.matchAll(expression)) {
      if (match.index > at) parts.push(piece.slice(at, match.index));
      parts.push(match[0]);
      at = match.index + match[0].length;
    }
    if (at < piece.length) parts.push(piece.slice(at));
    return parts;
  });
}

function merged(word: string, { ranks }: PlainBpe): string[] {
  const parts = Array.from(new TextEncoder().encode(word), (byte) => BYTE_TEXTS[byte] ?? '');
  for (;;) {
    let best = -1;
    let bestRank = Infinity;
    for (let at = 0; at + 1 < parts.length; at += 1) {
      const rank = ranks.get(`${parts[at]} ${parts[at + 1]}`) ?? Infinity;
      if (rank >= bestRank) continue;
      best = at;
      bestRank = rank;
    }
    if (best < 0) return parts;
    parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
  }
}

export function plainEncode(text: string, bpe: PlainBpe): number[] {
  let pieces = [text];
  for (const expression of bpe.expressions) pieces = cut(pieces, expression);
  return pieces.flatMap((word) => merged(word, bpe).map((token) => bpe.ids.get(token) ?? -1));
}
