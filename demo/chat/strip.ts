/** The model's blocks in a row, each in the colour of the place that runs it. */
import { html } from '../dom.ts';

export class Strip {
  readonly #element: HTMLElement;
  #blocks = 0;

  constructor(element: HTMLElement) {
    this.#element = element;
  }

  setBlocks(count: number): void {
    this.#blocks = count;
    this.#element.replaceChildren(...Array.from({ length: count }, () => html('span')));
  }

  /** @param plan `local`, `remote`, `split@7`, `u@2-28` */
  show(plan: string): void {
    const [from, until] = there(plan, this.#blocks);
    for (const [block, span] of [...this.#element.children].entries()) {
      span.className = block >= from && block < until ? 'endpoint' : 'device';
    }
    const text = until > from ? `blocks ${from} to ${until - 1} on the endpoint` : 'all on this device';
    this.#element.setAttribute('aria-label', `${this.#blocks} blocks, ${text}`);
  }
}

/** Blocks `[from, until)` that the endpoint runs. */
function there(plan: string, blocks: number): readonly [number, number] {
  if (plan === 'remote') return [0, blocks];
  const [, cut, until] = /@(\d+)(?:-(\d+))?$/.exec(plan) ?? [];
  if (cut === undefined) return [blocks, blocks];
  return [Number(cut), until === undefined ? blocks : Number(until)];
}
