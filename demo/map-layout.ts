/**
 * Where everything on the map lies. Two lands seen from above: the device's blocks on the left one,
 * the endpoint's on the right, and where the cut runs they are joined by a strip as narrow as what
 * crosses it. Pure geometry in CSS pixels.
 */
export interface MapInput {
  readonly width: number;
  readonly height: number;
  /** Of each block, in order. */
  readonly weightBytes: readonly number[];
  /** Blocks on the device. */
  readonly cut: number;
  /** What crosses the cut, both ways together. */
  readonly crossingBytes: number;
}

export interface BlockBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface MapLayout {
  readonly blocks: readonly BlockBox[];
  /** Outlines as SVG path data; a land without blocks is a small headland. */
  readonly device: string;
  readonly endpoint: string;
  /** The strip between them; absent when nothing crosses. */
  readonly strip?: { readonly left: number; readonly right: number; readonly halfHeight: number };
  /** Middle line of the lands. */
  readonly middle: number;
  /** Where labels of the crossing stand. */
  readonly strait: number;
}

/** Sea around the lands, room for labels above and below. */
const MARGIN_X = 10;
const MARGIN_Y = 40;
/** Land around its blocks. */
const SHORE = 9;
/** Length of the strip: as wide as two labels of bytes, less on a phone. */
const STRIP_SHARE = 0.2;
const STRIP_MIN = 64;
const STRIP_MAX = 150;
/** A land without blocks still shows who is there. */
const HEADLAND = 34;
/** Blocks are at least this tall, so that one without weights is still a block. */
const LEAST_HALF = 11;
/** How bluntly a land ends at the open sea. */
const CAPE_HALF = 5;
/** Embeddings outweigh other blocks many times; below a square root the others keep some height. */
const HEIGHT_POWER = 0.38;
const STRIP_HALF_MIN = 3;
const STRIP_HALF_MAX = 15;
/** A crossing of a megabyte makes the widest strip; between, by its order of magnitude. */
const WIDEST_BYTES = 1e6;

type Point = readonly [x: number, y: number];

/** A curve through the points that stays level at each: shores without overshoot. */
function shore(points: readonly Point[]): string {
  return points
    .slice(1)
    .map(([x, y], index) => {
      const [fromX, fromY] = points[index] ?? [x, y];
      const half = (fromX + x) / 2;
      return `C${half} ${fromY} ${half} ${y} ${x} ${y}`;
    })
    .join('');
}

/** Mirrors a north shore, given from west to east, into a closed outline. */
function outline(north: readonly Point[], middle: number): string {
  const [first = [0, middle] as const] = north;
  const south = north.map(([x, y]) => [x, 2 * middle - y] as const).reverse();
  const [last = first] = south;
  return `M${first[0]} ${first[1]}${shore(north)}L${last[0]} ${last[1]}${shore(south)}Z`;
}

export function layOutMap(input: MapInput): MapLayout {
  const { width, height, weightBytes, cut, crossingBytes } = input;
  const count = weightBytes.length;
  const middle = height / 2;
  const joined = cut < count;
  const stripLength = Math.min(STRIP_MAX, Math.max(STRIP_MIN, width * STRIP_SHARE));
  const headlands = (cut === 0 ? HEADLAND : 0) + (joined ? 0 : HEADLAND);
  const room = width - 2 * MARGIN_X - stripLength - 4 * SHORE - headlands;
  const pitch = count === 0 ? 0 : Math.max(0, room) / count;

  const tallest = middle - MARGIN_Y - SHORE;
  const most = Math.max(1, ...weightBytes);
  const half = (size: number): number => Math.max(LEAST_HALF, (size / most) ** HEIGHT_POWER * tallest);

  const deviceEnd = MARGIN_X + 2 * SHORE + (cut === 0 ? HEADLAND : cut * pitch);
  const endpointStart = deviceEnd + stripLength;
  const gap = Math.min(2, pitch * 0.15);
  const blocks = weightBytes.map((size, index) => {
    const left = index < cut ? MARGIN_X + SHORE : endpointStart + SHORE - cut * pitch;
    const halfHeight = half(size);
    return {
      x: left + index * pitch + gap / 2,
      y: middle - halfHeight,
      width: pitch - gap,
      height: 2 * halfHeight,
    };
  });

  const stripHalf = !joined
    ? 0
    : STRIP_HALF_MIN +
      (STRIP_HALF_MAX - STRIP_HALF_MIN) *
        Math.min(1, Math.log10(1 + Math.max(0, crossingBytes)) / Math.log10(WIDEST_BYTES));

  const north = (
    start: number,
    startHalf: number,
    end: number,
    endHalf: number,
    boxes: readonly BlockBox[],
  ) => {
    const tops = boxes.map((box) => [box.x + box.width / 2, box.y - SHORE] as const);
    const lone: Point = [(start + end) / 2, middle - LEAST_HALF * 1.8];
    const land: readonly Point[] = tops.length > 0 ? widen(tops, pitch) : [lone];
    return [[start, middle - startHalf] as const, ...land, [end, middle - endHalf] as const];
  };
  const shoreHalf = joined ? stripHalf : CAPE_HALF;
  const deviceShore = north(MARGIN_X, CAPE_HALF, deviceEnd, shoreHalf, blocks.slice(0, cut));
  const endpointShore = north(endpointStart, shoreHalf, width - MARGIN_X, CAPE_HALF, blocks.slice(cut));
  return {
    blocks,
    device: outline(deviceShore, middle),
    endpoint: outline(endpointShore, middle),
    ...(joined ? { strip: { left: deviceEnd, right: endpointStart, halfHeight: stripHalf } } : {}),
    middle,
    strait: (deviceEnd + endpointStart) / 2,
  };
}

/** Level ground over each whole block, so that the corners of tall ones do not stand in the sea. */
function widen(tops: readonly Point[], pitch: number): Point[] {
  return tops.flatMap(([x, y], index) => {
    const before = tops[index - 1]?.[1] ?? y;
    const after = tops[index + 1]?.[1] ?? y;
    return [
      [x - pitch / 2, Math.min(before, y)] as const,
      [x, y] as const,
      ...(after < y ? [] : [[x + pitch / 2, Math.min(after, y)] as const]),
    ];
  });
}
