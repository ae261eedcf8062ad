/** One answer on the page: its words as they come, marked by where they were made. */
import type { PlanPeriod } from 'isthmus';
import { html } from '../dom.ts';

export type Maker = 'device' | 'endpoint' | 'both';

export function makerOf(plan: string): Maker {
  if (plan === 'local') return 'device';
  return plan === 'remote' ? 'endpoint' : 'both';
}

export class Answer {
  readonly element: HTMLLIElement;
  #maker: Maker = 'endpoint';
  #span: HTMLSpanElement | undefined;

  constructor() {
    this.element = html('li', { class: 'turn answer' });
  }

  moved({ plan }: PlanPeriod): void {
    this.#maker = makerOf(plan);
    this.#span = undefined;
  }

  add(text: string): void {
    if (this.#span === undefined) {
      this.#span = html('span', { class: this.#maker });
      this.element.append(this.#span);
    }
    this.#span.append(text);
  }

  /** Leaves nothing where nothing was said. */
  drop(): void {
    if (this.element.textContent === '') this.element.remove();
  }
}
