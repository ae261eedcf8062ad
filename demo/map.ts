/** Draws the model as two lands joined at the cut. */
import type { Manifest } from 'isthmus';
import { svg } from './dom.ts';
import { bytes, plural } from './format.ts';
import { layOutMap, type MapLayout } from './map-layout.ts';

export interface MapState {
  readonly manifest: Manifest;
  /** Blocks on the device. */
  readonly cut: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** False while the bytes are a prediction. */
  readonly measured: boolean;
  /** Share of the weights asked for that are on the device, 0..1. */
  readonly held: number;
  readonly running: boolean;
}

/** Below this width the map is drawn flatter. */
const NARROW = 560;

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

export class ModelMap {
  readonly #host: HTMLElement;
  #state: MapState | undefined;

  constructor(host: HTMLElement) {
    this.#host = host;
    new ResizeObserver(() => this.#draw()).observe(host);
  }

  show(state: MapState): void {
    this.#state = state;
    this.#draw();
  }

  #draw(): void {
    const state = this.#state;
    const width = this.#host.clientWidth;
    if (state === undefined || width === 0) return;
    const height = width < NARROW ? 186 : 240;
    const layout = layOutMap({
      width,
      height,
      weightBytes: state.manifest.blocks.map((block) => block.weightBytes),
      cut: state.cut,
      crossingBytes: state.bytesUp + state.bytesDown,
    });
    const lands = [
      svg('path', { d: layout.device, class: 'land device' }),
      svg('path', { d: layout.endpoint, class: 'land endpoint' }),
    ];
    // Rings of shallow water: the lands' own outlines, drawn wide beneath them.
    const shallows = [30, 16].map((size) =>
      svg(
        'g',
        { class: 'shallows', 'stroke-width': size },
        ...lands.map((land) => svg('path', { d: land.getAttribute('d') ?? '' })),
        ...strip(layout, ''),
      ),
    );
    const drawing = svg(
      'svg',
      {
        viewBox: `0 0 ${width} ${height}`,
        width,
        height,
        role: 'img',
        'aria-label': describe(state),
        class: state.running ? 'running' : '',
      },
      fills(layout),
      ...shallows,
      ...strip(layout, 'strip'),
      ...lands,
      ...blocks(state, layout),
      ...crossing(state, layout),
      ...places(state, width),
      ...stages(state, layout, height),
    );
    this.#host.replaceChildren(drawing);
  }
}

/** The map in words, for those who do not see it. */
export function describe(state: MapState): string {
  const count = state.manifest.blocks.length;
  const here = plural(state.cut, 'block');
  if (state.cut === count) return `All ${here} run on this device; nothing crosses.`;
  const crossed = state.measured ? 'crossed' : 'are expected to cross';
  const there = plural(count - state.cut, 'block');
  return `${here} on this device, ${there} on the endpoint; ${bytes(state.bytesUp)} up and ${bytes(state.bytesDown)} down ${crossed}.`;
}

/** The strip's blend of both lands, and the stripes of weights that the device holds but does not run. */
function fills({ strip: place }: MapLayout): SVGElement {
  const stops = [
    svg('stop', { offset: 0, class: 'stop-device' }),
    svg('stop', { offset: 1, class: 'stop-endpoint' }),
  ];
  const ends = { x1: place?.left ?? 0, x2: place?.right ?? 1, gradientUnits: 'userSpaceOnUse' };
  const stripes = svg(
    'pattern',
    {
      id: 'held-stripes',
      width: 5,
      height: 5,
      patternUnits: 'userSpaceOnUse',
      patternTransform: 'rotate(45)',
    },
    svg('rect', { width: 2, height: 5, class: 'held device' }),
  );
  return svg('defs', {}, svg('linearGradient', { id: 'strip-fill', ...ends }, ...stops), stripes);
}

function strip({ strip: place, middle }: MapLayout, className: string): SVGElement[] {
  if (place === undefined) return [];
  const { left, right, halfHeight } = place;
  const waist = Math.max(1.5, halfHeight * 0.55);
  const quarter = (right - left) / 3;
  // One pixel into each land, so that no seam shows.
  const d =
    `M${left - 1} ${middle - halfHeight}` +
    `C${left + quarter} ${middle - waist} ${right - quarter} ${middle - waist} ${right + 1} ${middle - halfHeight}` +
    `L${right + 1} ${middle + halfHeight}` +
    `C${right - quarter} ${middle + waist} ${left + quarter} ${middle + waist} ${left - 1} ${middle + halfHeight}Z`;
  return [svg('path', { d, class: className })];
}

function blocks(state: MapState, layout: MapLayout): SVGElement[] {
  const held = clamp(state.held);
  return layout.blocks.flatMap((box, index) => {
    const side = index < state.cut ? 'device' : 'endpoint';
    const level = box.height * held;
    const radius = Math.min(3, box.width / 3);
    return [
      svg('rect', { ...box, rx: radius, class: `block ${side}` }),
      svg('rect', {
        x: box.x,
        y: box.y + box.height - level,
        width: box.width,
        height: level,
        rx: radius,
        class: `held ${side}`,
      }),
    ];
  });
}

function crossing(state: MapState, { strip: place, middle, strait }: MapLayout): SVGElement[] {
  if (place === undefined) return [];
  const kind = state.measured ? 'measured' : 'predicted';
  const text = (y: number, words: string) =>
    svg('text', { x: strait, y, 'text-anchor': 'middle', class: `bytes ${kind}` }, words);
  return [
    svg('line', { x1: place.left, x2: place.right, y1: middle, y2: middle, class: 'flow' }),
    text(middle - 22, `${bytes(state.bytesUp)} →`),
    text(middle + 32, `← ${bytes(state.bytesDown)}`),
  ];
}

function places(state: MapState, width: number): SVGElement[] {
  const count = state.manifest.blocks.length;
  const local = state.cut === count;
  return [
    svg('text', { x: 12, y: 20, class: 'place' }, 'This device'),
    svg(
      'text',
      { x: width - 12, y: 20, 'text-anchor': 'end', class: `place${local ? ' idle' : ''}` },
      local ? 'Endpoint, not used' : 'Endpoint',
    ),
  ];
}

/** A rule under the blocks of each stage, with its name; parts on both lands are ruled apart. */
function stages(state: MapState, layout: MapLayout, height: number): SVGElement[] {
  const y = height - 22;
  return state.manifest.stages.flatMap((stage) => {
    const pieces = [
      [stage.from, Math.min(stage.to, state.cut)],
      [Math.max(stage.from, state.cut), stage.to],
    ] as const;
    const longest = pieces.reduce((best, piece) => (piece[1] - piece[0] > best[1] - best[0] ? piece : best));
    return pieces.flatMap((piece) => {
      const first = layout.blocks[piece[0]];
      const last = layout.blocks[piece[1] - 1];
      if (piece[1] <= piece[0] || first === undefined || last === undefined) return [];
      const [left, right] = [first.x, last.x + last.width];
      const rule = svg('line', { x1: left, x2: right, y1: y, y2: y, class: 'stage-rule' });
      if (piece !== longest) return [rule];
      const name = svg(
        'text',
        { x: (left + right) / 2, y: y + 15, 'text-anchor': 'middle', class: 'stage' },
        stage.name,
      );
      return [rule, name];
    });
  });
}
