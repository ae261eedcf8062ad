/** Puts the public API where a test can call it. */
import * as isthmus from 'isthmus';

declare global {
  // `var` is what makes a property of the global object.
  var isthmusApi: typeof isthmus;
}

globalThis.isthmusApi = isthmus;
