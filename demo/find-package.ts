/** Which package the page runs: the first that its own server offers, unless `?package=` names one. */

const REMEMBERED = 'isthmus-demo-package';

interface Offer {
  readonly manifest: string;
}

/** Absolute URL of a package. Where the server cannot be reached, the one of the last visit. */
export async function findPackage(): Promise<string> {
  const asked = new URLSearchParams(location.search).get('package');
  if (asked !== null) return new URL(asked, document.baseURI).href;
  try {
    const response = await fetch(new URL('packages/', document.baseURI));
    const { packages } = (await response.json()) as { packages?: readonly Offer[] };
    const [first] = packages ?? [];
    if (first === undefined) throw new Error('This server offers no package.');
    const found = new URL(first.manifest, document.baseURI).href;
    localStorage.setItem(REMEMBERED, found);
    return found;
  } catch (error) {
    const remembered = localStorage.getItem(REMEMBERED);
    if (remembered !== null) return remembered;
    throw error;
  }
}
