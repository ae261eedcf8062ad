/** The worker entry: exposes a runner, or helps one; nothing else. */
import { createWorkerHost } from '../src/runtime/browser/worker-host.ts';
import { exposeHost } from '../src/runtime/browser/worker-link.ts';
import { isHelper, serveAsHelper } from '../src/runtime/rows/browser/helper-worker.ts';
import type { Words } from '../src/runtime/words.ts';
import type { WordsHome } from '../src/tasks/local-words.ts';

if (isHelper()) serveAsHelper();
else exposeHost(createWorkerHost({ openWords }));

/** Loaded when words are first asked for: single graphs have none. */
async function openWords(home: WordsHome): Promise<Words> {
  const { localWords } = await import('../src/tasks/local-words.ts');
  return localWords(home);
}
