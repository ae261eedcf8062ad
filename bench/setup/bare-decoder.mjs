/** The whole graph in onnxruntime-node alone, decoded greedily as its own examples do it: state out, state in. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { writeModel } from '../../dist/src/graph/onnx-write.js';
import { readLlamaConfig } from '../../dist/src/package/gguf/architecture.js';
import { buildLlama, LLAMA_NAMES } from '../../dist/src/package/gguf/build-llama.js';
import { openFileSource } from '../../dist/src/package/gguf/node/file-source.js';
import { readGgufHeader } from '../../dist/src/package/gguf/read-gguf.js';

/** Room behind the text that the graph's attention asks for. */
const SPARE_ROWS = 1;

export async function openBare(path) {
  const source = await openFileSource(path);
  const file = await readGgufHeader(source);
  const config = await readLlamaConfig(file);
  const { model, states } = await buildLlama(config, (name) => file.readTensor(name));
  await source.close();
  const session = await InferenceSession.create(writeModel(model), { intraOpNumThreads: 1 });
  const { tokens, last, total, picked, logits } = LLAMA_NAMES;
  const { kvHeads, headDim, vocabulary } = config;

  /** @returns {Promise<number>} ms a token, behind the first */
  const decode = async (prompt, count) => {
    const capacity = prompt.length + count + SPARE_ROWS;
    const dims = [1, kvHeads, capacity, headDim];
    const length = kvHeads * capacity * headDim;
    let state = states.map(() => new Tensor('float32', new Float32Array(length), dims));
    let input = prompt;
    let known = 0;
    let firstAt = 0;
    for (let made = 0; made < count; made += 1) {
      const feeds = {
        [tokens]: new Tensor('int64', BigInt64Array.from(input, BigInt), [1, input.length]),
        [last]: new Tensor('int32', Int32Array.of(known + input.length - 1), [1]),
        [total]: new Tensor('int32', Int32Array.of(known + input.length), []),
        [picked]: new Tensor('int64', BigInt64Array.of(BigInt(input.length - 1)), [1]),
      };
      for (const [index, { input: name }] of states.entries()) feeds[name] = state[index];
      const out = await session.run(feeds);
      state = states.map(({ output }) => out[output]);
      known += input.length;
      input = [best(out[logits].data.subarray(0, vocabulary))];
      if (made === 0) firstAt = performance.now();
    }
    return (performance.now() - firstAt) / (count - 1);
  };
  return { decode, close: () => session.release() };
}

function best(scores) {
  let at = 0;
  for (let index = 1; index < scores.length; index += 1) if (scores[index] > scores[at]) at = index;
  return at;
}
