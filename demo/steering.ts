/** Where to run: the four modes, and the cut and codec of the fourth. */
import type { Codec, PlanChoice } from 'isthmus';
import { element } from './dom.ts';

type Mode = 'auto' | 'local' | 'remote' | 'cut';

const isMode = (value: string): value is Mode => ['auto', 'local', 'remote', 'cut'].includes(value);
const isCodec = (value: string): value is Codec => ['fp32', 'fp16', 'int8'].includes(value);

export class Steering {
  readonly #modes = document.querySelectorAll<HTMLInputElement>('input[name=mode]');
  readonly #byHand = element('by-hand', HTMLElement);
  readonly #cut = element('cut', HTMLInputElement);
  readonly #cutText = element('cut-text', HTMLOutputElement);
  readonly #codec = element('codec', HTMLSelectElement);
  #count = 0;

  constructor(onChange: (choice: PlanChoice) => void) {
    const changed = (): void => {
      this.#byHand.hidden = this.#mode !== 'cut';
      this.#tellCut();
      onChange(this.choice);
    };
    for (const input of [...this.#modes, this.#codec]) input.addEventListener('change', changed);
    this.#cut.addEventListener('input', changed);
  }

  /** Cuts at the ends are plans with names of their own, so the slider keeps between them. */
  setBlocks(count: number): void {
    this.#cut.min = String(Math.min(1, count));
    this.#cut.max = String(Math.max(1, count - 1));
    this.#cut.value = String(Math.floor(count / 2));
    this.#count = count;
    this.#tellCut();
  }

  #tellCut(): void {
    this.#cutText.value = `${this.#cut.value} of ${this.#count}`;
  }

  get choice(): PlanChoice {
    if (this.#mode !== 'cut') return this.#mode;
    const codec = this.#codec.value;
    return { cut: Number(this.#cut.value), ...(isCodec(codec) ? { codec } : {}) };
  }

  get #mode(): Mode {
    const value = [...this.#modes].find((input) => input.checked)?.value ?? 'auto';
    return isMode(value) ? value : 'auto';
  }
}
