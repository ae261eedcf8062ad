/** What is asked over the link: answers that repeat much of their prompt, and one that repeats nothing. */

const NOTICE =
  'The harbour office closes at noon on Friday. Ferries to the northern islands leave from pier four until the new ramp is finished. Tickets bought for pier two stay valid, and bicycles travel free of charge during the works. Passengers with heavy luggage should arrive thirty minutes before departure.';

const LETTER =
  'dear mister holm, we recieved your letter about the broken gate. our carpenter will come on tuesday morning and bring new hinges. please leave the yard door open, because the gate can not be lifted from outside. the repair costs nothing, since the gate is still under warranty.';

const CODE = `function readTotals(rows) {
  let count = 0;
  let weight = 0;
  for (const row of rows) {
    if (row.isDeleted) continue;
    count += row.count;
    weight += row.count * row.weight;
  }
  return { count, weight };
}`;

const user = (content) => [{ role: 'user', content }];

/** `kind` 'prose' is the one that has nothing to look up. */
export const LINK_PROMPTS = [
  {
    kind: 'summary',
    messages: user(`Summarize this notice by repeating its most important sentences.\n\n${NOTICE}`),
  },
  {
    kind: 'rewrite',
    messages: user(`Correct the spelling and the capital letters of this letter.\n\n${LETTER}`),
  },
  {
    kind: 'code',
    messages: user(`Rename the variable count to total in this function and print it.\n\n${CODE}`),
  },
  { kind: 'prose', messages: user('Tell me a story about a lighthouse keeper who finds a map.') },
];

/** Times that the opening of a conversation holds its documents: some 270 tokens, and some 860. */
export const TURN_COPIES = [1, 4];

/**
 * A conversation whose first turn is long and whose second is short; each `round` begins with other words,
 * so that nothing of an earlier one is kept. `unheard` before them makes the whole new to the model.
 */
export function secondTurn(round, copies) {
  const documents = Array(copies).fill(`${NOTICE} ${LETTER}\n\n${CODE}`).join('\n\n');
  const opening = user(`Round ${round + 1} of ${copies}. ${documents}\n\nWhat is the notice about?`);
  const followUp = user('And when does the office close?');
  const unheard = [{ role: 'system', content: `You answer visitor number ${round + 41}.` }];
  return { opening, followUp, unheard };
}
