/**
 * Bounds on what the other side may say. Both ends hold themselves to the same numbers, so a message
 * that is too large fails at its sender with `limit-exceeded` instead of breaking the connection.
 */

/**
 * 64 MiB: four times the largest activation that is worth sending (2048 tokens of width 2048 in
 * float32 are 16 MiB, half a minute of audio is 2 MiB), and little enough that an endpoint can hold
 * one frame for each of its connections.
 */
export const MAX_FRAME_BYTES = 64 * 2 ** 20;

/**
 * 1 MiB: holds `MAX_PREFIX_TOKENS` token ids in decimal (11 bytes each) or `MAX_TENSORS_PER_MESSAGE`
 * tensors with long names, and is parsed in a few milliseconds.
 */
export const MAX_HEADER_BYTES = 2 ** 20;

/**
 * 16 MiB of text: for one-shot requests with tensors as JSON arrays, which cost about 20 bytes a
 * value and block the event loop while they are parsed. Larger inputs take the binary extension.
 */
export const MAX_JSON_BODY_BYTES = 16 * 2 ** 20;

/** A crossing has a handful of tensors; a model fed with its whole KV cache has two per layer. */
export const MAX_TENSORS_PER_MESSAGE = 512;

/** UTF-16 units. Names in exported graphs are paths of modules: about 100, rarely 200. */
export const MAX_NAME_LENGTH = 512;

/** Tokens that one request may generate: several times the longest answers; ends runaway loops. */
export const MAX_TOKENS_PER_REQUEST = 32_768;

/** Everything that a request may generate can also be replayed on another endpoint. */
export const MAX_PREFIX_TOKENS = MAX_TOKENS_PER_REQUEST;

/** Token ids and most other counts on the wire are held to what an int32 tensor can carry. */
export const MAX_TOKEN_ID = 2 ** 31 - 1;

/** Blocks of a model: ten times the layers of the deepest models in use. */
export const MAX_BLOCKS = 4096;

/**
 * 1 MiB each way: long enough to leave TCP slow start behind, short enough (80 ms at 100 Mbit/s) not
 * to stand in the way of a request, and all that a peer can make an endpoint send with one small ping.
 */
export const MAX_PROBE_BYTES = 2 ** 20;

/** Requests open at once on one connection: a page runs one or two, a recovery doubles them. */
export const MAX_SESSIONS_PER_CONNECTION = 16;

/** Texts that are cut into tokens at once for one connection: a page asks for one, and is on its first visit. */
export const MAX_TEXTS_PER_CONNECTION = 4;

/** Lanes open at once on one connection: a page has one text or two, a move from place to place doubles them. */
export const MAX_LANES_PER_CONNECTION = 16;

/**
 * Rows of one forward, or of a loop before its first pick: a whole prompt as long as the longest answer.
 * With an answer of `MAX_PREFIX_TOKENS` beside them their ids still fit `MAX_HEADER_BYTES`.
 */
export const MAX_ROWS_PER_FORWARD = MAX_PREFIX_TOKENS;

/** Tokens proposed in one forward: ten times what pays off on the slowest links. */
export const MAX_DRAFTS = 256;

/** Tokens that end a loop: models have one to five, a caller may add some. */
export const MAX_END_TOKENS = 256;

/** Positions of a text: contexts in use reach one million. */
export const MAX_POSITIONS = 2 ** 21;

/** Calls of one lane over its life: a call a millisecond for a month. */
export const MAX_CALL = 2 ** 31 - 1;

/**
 * Calls of a lane that are sent and not yet answered: they wait for an earlier one. A prompt in pieces is
 * some tens.
 */
export const MAX_CALLS_IN_FLIGHT = 1024;

/** 16 MiB of tensors in those calls, 8,000 rows of width 512, unless one call alone has more. */
export const MAX_CALL_BYTES_IN_FLIGHT = 16 * 2 ** 20;

/**
 * 16 MiB of state in one message, a quarter of a frame: 350 positions of a model of 135 million weights.
 * Longer ones go in several messages, so that tokens of other texts pass between them.
 */
export const MAX_STATE_BYTES_PER_MESSAGE = 16 * 2 ** 20;

/** A temperature or penalty beyond it draws as good as evenly. */
export const MAX_SAMPLING_FACTOR = 1e6;

/** Models that one endpoint announces. */
export const MAX_MODELS = 256;

/** Entries of the timing report of one request: each block apart, in each phase. */
export const MAX_REPORT_SEGMENTS = 3 * MAX_BLOCKS;

/** Models whose load is told at once: more than a page uses, and short enough to ride on every pong. */
export const MAX_LOAD_MODELS = 16;

/** Paces of a model in a load: each stage's phases whole, and at the cuts in use. */
export const MAX_LOAD_PACES = 32;

/** Ten minutes: whoever would wait so long in a queue, or for one segment, does better anywhere else. */
export const MAX_LOAD_MS = 600_000;

/** Units of a pace: samples of three days of speech. */
export const MAX_LOAD_UNITS = 2 ** 32;

/** UTF-16 units of an error's message; a stack trace or an echoed input has no business on the wire. */
export const MAX_ERROR_MESSAGE_LENGTH = 4096;

/** UTF-16 units of an error's details as JSON: names, limits and counts are small. */
export const MAX_ERROR_DETAILS_LENGTH = 16 * 2 ** 10;
