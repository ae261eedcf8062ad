/**
 * What a manifest may hold. A manifest comes from a server or a folder that we do not control, and
 * these stop one that would exhaust memory; each is far above what any import writes.
 */

/** Hundreds of blocks with dozens of crossing tensors each stay below 1 MiB. */
export const MAX_MANIFEST_BYTES = 16 * 2 ** 20;

/** An encoder, a decoder, a vocoder: stages are counted on one hand. */
export const MAX_STAGES = 64;

/** The deepest published transformers have some hundreds of layers. */
export const MAX_BLOCKS = 4096;

/** A few shards per block, the graphs and the tokenizer. */
export const MAX_FILES = 16_384;

/** Tensors of one list: state entries of a stage, what crosses a cut, what is recomputed there. */
export const MAX_TENSORS = 16_384;

/** A shard becomes one `ArrayBuffer` and then WASM memory; neither is sure to hold more than 2 GiB. */
export const MAX_FILE_BYTES = 2 ** 31;

/** Exporters write scoped names of some hundred characters. */
export const MAX_NAME_LENGTH = 1024;

/** Room for a folder and a hash; file systems stop at 255 for one segment. */
export const MAX_PATH_LENGTH = 200;

/** Remarks for a person. */
export const MAX_NOTES = 1000;
export const MAX_NOTE_LENGTH = 4096;

/** Chat models list a handful of tokens that end an answer. */
export const MAX_EOS_TOKENS = 1024;

/** Published chat templates reach some 30,000 characters, those with tools. */
export const MAX_TEMPLATE_LENGTH = 2 ** 18;

/** Special tokens that a template may name: begin, end, padding and some of the model's own. */
export const MAX_SPECIAL_TOKENS = 1024;
