/** Failures in plain words: what happened and what the reader of the page can do. */
import { type ErrorCode, isIsthmusError } from 'isthmus';
import { UnreadableFile } from './audio-file.ts';

export interface Problem {
  readonly text: string;
  readonly code: string;
}

/** Codes that a user of this page can meet; the others show the library's own message. */
const WORDS: Partial<Record<ErrorCode, string>> = {
  'bad-input': 'This sound could not be read.',
  'input-too-long': 'This sound is too long. Try a shorter piece.',
  'bad-package': 'The model on the server is damaged. Run “npm start” again to import it anew.',
  'bad-shard': 'Part of the model arrived damaged. Reload the page to fetch it again.',
  'missing-shard': 'Part of the model is not on the server. Run “npm start” again.',
  'wrong-version': 'The page and the endpoint are of different versions. Reload the page.',
  'endpoint-lost': 'The endpoint cannot be reached. It may be stopped, or this device offline.',
  'endpoint-failed': 'The endpoint failed while it worked on this. Try again.',
  'endpoint-stopping': 'The endpoint is shutting down. Try again when it is back.',
  'weights-missing':
    'The endpoint cannot be reached and this device does not hold the whole model yet. Try again when you are connected.',
  'worker-lost': 'The browser ended the model, most often for want of memory. Try again.',
  'no-provider': 'This browser cannot run the model. WebAssembly may be switched off.',
  'no-plan': 'No way of running this fits the settings. Choose “Auto”.',
  'limit-exceeded': 'The endpoint is full or the request too large. Try again in a moment.',
  'storage-failed': 'The browser could not keep the model, so it will be fetched again next time.',
};

/** The browser's own names for a refused or absent microphone. */
const MICROPHONE: Readonly<Record<string, string>> = {
  NotAllowedError: 'The microphone was not allowed. Allow it in the browser’s site settings.',
  NotFoundError: 'No microphone was found.',
  NotReadableError: 'The microphone is in use elsewhere.',
};

/** `undefined` for what needs no words: the user cancelled. */
export function describeProblem(error: unknown): Problem | undefined {
  if (isIsthmusError(error)) {
    if (error.code === 'aborted') return undefined;
    return { text: WORDS[error.code] ?? error.message, code: error.code };
  }
  if (error instanceof UnreadableFile) return { text: error.message, code: 'bad-input' };
  if (error instanceof DOMException) {
    return { text: MICROPHONE[error.name] ?? error.message, code: error.name };
  }
  return { text: error instanceof Error ? error.message : String(error), code: 'unexpected' };
}
