/** What an answer cost, and which plans made it. */
import type { PlanPeriod, TextUsage } from 'isthmus';
import { element, factsOf, html } from '../dom.ts';
import { bytes, milliseconds, plural } from '../format.ts';

export class ChatLedger {
  readonly #facts = element('facts', HTMLDListElement);
  readonly #periods = element('periods', HTMLOListElement);

  clear(): void {
    this.#facts.replaceChildren();
    this.#periods.replaceChildren();
  }

  period({ plan, fromToken, reason, leaves }: PlanPeriod): void {
    const leaving = leaves.length === 0 ? 'Nothing leaves this device.' : `Leaves: ${leaves.join(', ')}.`;
    this.#periods.append(
      html('li', {}, html('strong', {}, plan), ` from token ${fromToken}: ${reason}. ${leaving}`),
    );
  }

  usage(usage: TextUsage): void {
    const trips = usage.newTokens > 0 ? (usage.roundTrips / usage.newTokens).toFixed(2) : '–';
    const facts: readonly (readonly [string, string])[] = [
      ['First token', milliseconds(usage.ttftMs)],
      ['Speed', `${usage.tokensPerSecond.toFixed(1)} tokens/s`],
      ['Prompt', `${plural(usage.promptTokens, 'token')}, ${usage.reusedTokens} kept`],
      ['Answer', plural(usage.newTokens, 'token')],
      ['Round trips', `${usage.roundTrips} (${trips} a token)`],
      ['Up, down', `${bytes(usage.bytesUp)}, ${bytes(usage.bytesDown)}`],
      ...(usage.drafted > 0
        ? [['Proposed ahead', `${usage.drafted}, ${usage.accepted} right`] as const]
        : []),
    ];
    this.#facts.replaceChildren(...factsOf(facts));
  }
}
