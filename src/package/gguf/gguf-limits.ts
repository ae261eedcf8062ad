/**
 * What a GGUF header may hold. All of it is read before anything is known of the file's worth, so each
 * count is held against these bounds and against the bytes that are really there.
 */

/** 64 MiB. A vocabulary of 256,000 tokens with its merges takes some 15 MiB. */
export const MAX_HEADER_BYTES = 64 * 2 ** 20;

/** Entries of the metadata; real files have 20 to 60. */
export const MAX_METADATA_ENTRIES = 4096;

/** Values of all arrays together; tokens, types, scores and merges of 256,000 tokens are 1.3 million. */
export const MAX_METADATA_VALUES = 2 ** 22;

/** Arrays of arrays; the format allows them and no known key uses them. */
export const MAX_ARRAY_DEPTH = 4;

/** Of keys and tensors' names; llama.cpp bounds the latter to 64 bytes, and no known key is longer. */
export const MAX_NAME_BYTES = 1024;

/** The largest dense models have some 1,200 tensors, mixtures of experts in one file some 2,000. */
export const MAX_TENSORS = 2 ** 16;

/** `GGML_MAX_DIMS`. */
export const MAX_DIMENSIONS = 4;

/** Bytes; 32 is the default, 4096 (a page) the largest in use. */
export const MAX_ALIGNMENT = 2 ** 20;

/**
 * 4 GiB as float32, for one read: a whole embedding of 128,000 x 8,192 elements. What is larger is read by
 * rows.
 */
export const MAX_READ_ELEMENTS = 2 ** 30;
