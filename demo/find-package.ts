/** Which package a page runs: the first of its kind that its own server offers, unless `?package=` names one. */

const REMEMBERED = 'isthmus-demo-package';

interface Offer {
  readonly manifest: string;
}

/** Absolute URL of a package. Where the server cannot be reached, the one of the last visit. */
export async function findPackage(kind: 'audio' | 'text'): Promise<string> {
  const asked = new URLSearchParams(location.search).get('package');
  if (asked !== null) return new URL(asked, document.baseURI).href;
  try {
    const response = await fetch(new URL('packages/', document.baseURI));
    const { packages } = (await response.json()) as { packages?: readonly Offer[] };
    for (const offer of packages ?? []) {
      const url = new URL(offer.manifest, document.baseURI).href;
      const manifest = (await (await fetch(url)).json()) as object;
      if (!(kind in manifest)) continue;
      localStorage.setItem(`${REMEMBERED}-${kind}`, url);
      return url;
    }
    throw new Error(`This server offers no model for ${kind}.`);
  } catch (error) {
    const remembered = localStorage.getItem(`${REMEMBERED}-${kind}`);
    if (remembered !== null) return remembered;
    throw error;
  }
}
