/** What a builder that knows its graph may tell the importer, so that it need not find out. */
import type { StepFeed } from '../manifest.ts';

/** Names must be inputs of the graph; anything else is refused with `bad-option`. */
export interface ImportHints {
  /** What each input means that follows from the position; see `StepFeed`. */
  readonly feeds: readonly StepFeed[];
  /** All growing state may be written in place (GroupQueryAttention); found in the graph where absent. */
  readonly growth?: 'shared';
}
