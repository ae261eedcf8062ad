/** The demo's two pages; all else is as for any page that is built against the library. */
import { fileURLToPath } from 'node:url';
import { mergeConfig } from 'vite';
import shared from '../vite.config.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default mergeConfig(shared, {
  build: { rolldownOptions: { input: [here('index.html'), here('chat.html')] } },
});
