/** How far the heap of a process that serves may grow before it is collected. */
import { setFlagsFromString } from 'node:v8';

/**
 * In percent of what lives: up to four times of it, as V8 itself lets a heap grow that is filled fast. What an endpoint
 * leaves behind is tensors, 10 MB a request of speech, outside of that heap: V8 takes it for one that hardly grows,
 * collects it at a tenth more, and so did once or twice in each request, for a tenth of its processor time.
 */
const GROWTH_PERCENT = 300;

/** For the whole process, its workers included, from now on. A version of V8 without the flag says so and goes on. */
export function collectSeldom(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
