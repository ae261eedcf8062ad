/** `isthmus inspect`: the blocks and cuts of a package. */
import { openPackage } from '../package/node/open-package.ts';
import type { Command } from './command.ts';
import { onePositional, parseFlags } from './flags.ts';
import { inspectManifest } from './inspect-report.ts';
import { inspectTable } from './inspect-table.ts';

const HELP = `Shows the blocks of a package, the weights that each needs, and what crosses at each cut.

Usage: isthmus inspect PKG [--json]

  --json    one JSON document: {"blocks": [...], "cuts": [...]}
  --help    show this

Bytes per token are those of each step of a decoder, or per row of the output of a stage that runs
once (an encoder). What crosses once a request is marked so.

Examples:
  isthmus inspect ./package
  isthmus inspect ./package --json | jq '.cuts[].bytesPerToken'
`;

export const inspectCommand: Command = {
  name: 'inspect',
  summary: 'show blocks, weights and what crosses at each cut',
  help: HELP,
  run: async (args, io) => {
    const { values, positionals } = parseFlags(args, { json: { type: 'boolean' } });
    const { manifest } = await openPackage(onePositional(positionals, 'package'));
    const report = inspectManifest(manifest);
    io.stdout(values.json === true ? `${JSON.stringify(report)}\n` : inspectTable(manifest, report));
    return 0;
  },
};
