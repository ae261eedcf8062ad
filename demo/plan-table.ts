/** The table of plans: what each is predicted to take, and what it took when it last ran. */
import type { Explanation, PricedPlan, RequestReport } from 'isthmus';
import { html } from './dom.ts';
import { bytes, deviation, milliseconds, plural } from './format.ts';

/** Rows shown before the reader asks for all. */
const FEW = 6;

export interface Measurement {
  /** As it was predicted when it ran: the prediction in the table has moved on since. */
  readonly predictedMs: number;
  readonly totalMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export function measurementOf(report: RequestReport): Measurement {
  const { plan, totalMs, bytesUp, bytesDown } = report;
  return { predictedMs: plan.prediction.totalMs, totalMs, bytesUp, bytesDown };
}

/** `split@7/fp16` reads as blocks and a codec. */
export function planName(plan: Pick<PricedPlan, 'kind' | 'cut' | 'codec'>): string {
  if (plan.kind === 'local') return 'All on this device';
  // What fp32 sends of a recording is its samples, as they are: nothing that anyone chose.
  if (plan.kind === 'remote') return `All on the endpoint${plan.codec === 'fp32' ? '' : `, ${plan.codec}`}`;
  return `${plural(plan.cut, 'block')} here, ${plan.codec}`;
}

export class PlanTable {
  readonly #body: HTMLTableSectionElement;
  readonly #more: HTMLButtonElement;
  readonly #measured = new Map<string, Measurement>();
  #explanation: Explanation | undefined;
  #all = false;

  constructor(body: HTMLTableSectionElement, more: HTMLButtonElement) {
    this.#body = body;
    this.#more = more;
    more.addEventListener('click', () => {
      this.#all = !this.#all;
      this.#draw();
    });
  }

  explain(explanation: Explanation): void {
    this.#explanation = explanation;
    this.#draw();
  }

  measure(reports: readonly RequestReport[]): void {
    for (const report of reports) this.#measured.set(report.plan.id, measurementOf(report));
    this.#draw();
  }

  #draw(): void {
    const explanation = this.#explanation;
    if (explanation === undefined) return;
    const { plans, chosen } = explanation;
    const shown = this.#all
      ? plans
      : plans.filter(({ id }, index) => index < FEW || id === chosen.id || this.#measured.has(id));
    this.#body.replaceChildren(...shown.map((plan) => this.#row(plan, plan.id === chosen.id)));
    this.#more.hidden = plans.length <= FEW;
    this.#more.textContent = this.#all ? 'Show the best only' : `Show all ${plans.length} plans`;
    this.#more.setAttribute('aria-expanded', String(this.#all));
  }

  #row(plan: PricedPlan, chosen: boolean): HTMLTableRowElement {
    const { prediction, rejected } = plan;
    const measured = this.#measured.get(plan.id);
    const name = html('th', { scope: 'row' }, html('span', { class: 'plan-name' }, planName(plan)));
    const crossed = measured ?? prediction;
    name.append(
      html(
        'span',
        { class: 'plan-detail' },
        rejected ?? `${bytes(crossed.bytesUp)} up, ${bytes(crossed.bytesDown)} down`,
      ),
    );
    const row = html(
      'tr',
      { class: [chosen ? 'chosen' : '', rejected === undefined ? '' : 'rejected'].join(' ').trim() },
      name,
      html(
        'td',
        { class: 'figure' },
        rejected === undefined ? milliseconds(prediction.totalMs) : '–',
        ...(chosen ? [html('span', { class: 'badge' }, 'next')] : []),
      ),
      measuredCell(measured),
    );
    return row;
  }
}

function measuredCell(measured: Measurement | undefined): HTMLTableCellElement {
  if (measured === undefined) return html('td', { class: 'figure' }, '–');
  const aside = deviation(measured.predictedMs, measured.totalMs);
  return html(
    'td',
    { class: 'figure' },
    milliseconds(measured.totalMs),
    html('span', { class: 'plan-detail' }, aside),
  );
}
