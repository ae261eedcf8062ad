/** Every plan of a package in the form in which a request asks for it. */

/**
 * @param {readonly { id: string, kind: string, cut: number, codec: string }[]} plans as `explain` lists them
 * @returns {{ id: string, choice: 'local' | { cut: number, codec: string } }[]} by cut, `local` last
 */
export function planChoices(plans) {
  return [...plans]
    .sort((a, b) => a.cut - b.cut || a.codec.localeCompare(b.codec))
    .map(({ id, kind, cut, codec }) => ({ id, choice: kind === 'local' ? 'local' : { cut, codec } }));
}
