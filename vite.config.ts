/** Builds the demo against the built library, as a user's app would be: `npm run build` comes first. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('demo/'),
  // Relative, so that the page works wherever the endpoint mounts it.
  base: './',
  resolve: { alias: [{ find: /^isthmus$/, replacement: here('dist/src/index.js') }] },
  worker: { format: 'es' },
  // The newest syntax in use is understood by every browser that runs WebAssembly threads and SIMD.
  build: { outDir: here('.cache/demo/'), emptyOutDir: true, target: 'es2022', chunkSizeWarningLimit: 1000 },
});
