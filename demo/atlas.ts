/** The upper part of the page: the map, why it looks so, weights on their way, and the facts. */
import type { Explanation, PlanChoice, PricedPlan, RequestReport, Session } from 'isthmus';
import { element, factsOf } from './dom.ts';
import { bytes, milliseconds, plural } from './format.ts';
import { ModelMap } from './map.ts';
import { planName } from './plan-table.ts';

const PROVIDERS = { wasm: 'WebAssembly', webgpu: 'WebGPU', cpu: 'CPU' } as const;

export class Atlas {
  readonly #map = new ModelMap(element('map', HTMLElement));
  readonly #reason = element('reason', HTMLElement);
  readonly #weights = element('weights', HTMLElement);
  readonly #bar = element('weights-bar', HTMLProgressElement);
  readonly #weightsText = element('weights-text', HTMLElement);
  readonly #facts = element('facts', HTMLElement);
  #session: Session | undefined;
  #explanation: Explanation | undefined;
  #held = 0;
  #drawn: { cut: number; bytesUp: number; bytesDown: number; measured: boolean } | undefined;
  #running = false;

  say(text: string): void {
    this.#reason.textContent = text;
  }

  open(session: Session): void {
    this.#session = session;
  }

  weights(done: number, total: number): void {
    this.#held = total > 0 ? done / total : 0;
    this.#weights.hidden = false;
    this.#weights.classList.toggle('complete', done >= total);
    this.#bar.value = this.#held;
    this.#weightsText.textContent = done < total ? `${bytes(done)} of ${bytes(total)}` : bytes(total);
    this.#draw();
  }

  running(yes: boolean): void {
    this.#running = yes;
    this.#draw();
  }

  /** Before a request: what the chosen plan is expected to do. */
  preview(explanation: Explanation, choice: PlanChoice): void {
    this.#explanation = explanation;
    this.#describeLink();
    const plan = planOf(explanation, choice);
    if (plan === undefined) {
      if (typeof choice === 'object') this.#place(choice.cut, 0, 0, false);
      return;
    }
    const { prediction, cut } = plan;
    this.#place(cut, prediction.bytesUp, prediction.bytesDown, false);
    const expected = `${planName(plan)}: ${milliseconds(prediction.totalMs)} expected.`;
    if (plan.rejected !== undefined) this.say(`${planName(plan)} cannot run: ${plan.rejected}`);
    else this.say(choice === 'auto' ? because(plan, explanation.reason) : expected);
  }

  /** While a request runs: where it went. */
  planned(plan: PricedPlan, reason: string): void {
    this.#place(plan.cut, plan.prediction.bytesUp, plan.prediction.bytesDown, false);
    this.say(because(plan, reason));
  }

  /** After a request: what was counted. Long audio ran in pieces; the last one's plan is drawn. */
  measured(reports: readonly RequestReport[]): void {
    const last = reports.at(-1);
    if (last === undefined) return;
    const sum = (pick: (report: RequestReport) => number): number =>
      reports.reduce((total, report) => total + pick(report), 0);
    this.#place(
      last.plan.cut,
      sum((report) => report.bytesUp),
      sum((report) => report.bytesDown),
      true,
    );
    this.say(because(last.plan, last.reason));
  }

  #place(cut: number, bytesUp: number, bytesDown: number, measured: boolean): void {
    this.#drawn = { cut, bytesUp, bytesDown, measured };
    this.#draw();
  }

  #draw(): void {
    if (this.#session === undefined || this.#drawn === undefined) return;
    const { manifest } = this.#session;
    this.#map.show({ manifest, ...this.#drawn, held: this.#held, running: this.#running });
  }

  #describeLink(): void {
    const [session, explanation] = [this.#session, this.#explanation];
    if (session === undefined || explanation === undefined) return;
    const { link, endpoint } = explanation;
    const facts: [string, string][] = [
      ['Runs on', `${PROVIDERS[session.provider]}, ${plural(session.threads, 'thread')}`],
      ['Endpoint', { up: 'reachable', down: 'not reachable', unknown: 'not tried yet' }[endpoint]],
    ];
    if (endpoint === 'up') {
      facts.push(['Round trip', milliseconds(link.rttMs)]);
      facts.push([
        'Link up / down',
        `${bytes(link.upBytesPerSecond)}/s, ${bytes(link.downBytesPerSecond)}/s`,
      ]);
    }
    this.#facts.replaceChildren(...factsOf(facts));
  }
}

function planOf({ plans, chosen }: Explanation, choice: PlanChoice): PricedPlan | undefined {
  if (choice === 'auto') return chosen;
  if (typeof choice === 'string') return plans.find(({ kind }) => kind === choice);
  const here = plans.filter(({ kind, cut }) => kind === 'split' && cut === choice.cut);
  return here.find(({ codec }) => codec === choice.codec) ?? here[0];
}

/** The plan in words, then why. The library's reasons begin with the plan's id, which says less. */
function because(plan: PricedPlan, reason: string): string {
  const own = `${plan.id}: `;
  const text = reason.startsWith(own) ? reason.slice(own.length) : reason;
  return `${planName(plan)}: ${text.replace(/[.\s]+$/, '')}.`;
}
