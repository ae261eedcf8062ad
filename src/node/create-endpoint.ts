/** An endpoint with its packages' words. */
import { createEndpoint as createBare, type Endpoint, type EndpointOptions } from '../endpoint/endpoint.ts';
import { wordsForOthers } from '../tasks/far-words.ts';

/** Serves packages. Throws `bad-option`, also when the address cannot be listened on. */
export function createEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const packages = options.packages.map((opened) => {
    const {
      manifest,
      source,
      words = wordsForOthers({ manifest, readFile: (path) => source.read(path) }),
    } = opened;
    return words === undefined ? opened : { ...opened, words };
  });
  return createBare({ ...options, packages });
}
