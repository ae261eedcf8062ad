/** The whole model in one exchange, as any client of the Open Inference Protocol asks for it. */

/** Bytes of the JSON header before raw tensors (OIP, binary tensor data extension). */
const HEADER_LENGTH = 'Inference-Header-Content-Length';

/**
 * @param {string} url of the endpoint
 * @param {string} model
 * @param {{ input: { name: string, shape: number[] } & ({ floats: Float32Array } | { ids: number[] }), maxTokens: number,
 *   signal?: AbortSignal }} asked
 * @returns {Promise<number[]>} tokens
 */
export async function inferOnce(url, model, { input, maxTokens, signal }) {
  const { name, shape, floats, ids } = input;
  const raw =
    floats === undefined ? undefined : Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
  const tensor =
    raw === undefined
      ? { name, shape, datatype: 'INT64', data: ids }
      : { name, shape, datatype: 'FP32', parameters: { binary_data_size: raw.length } };
  const header = Buffer.from(JSON.stringify({ inputs: [tensor], parameters: { max_tokens: maxTokens } }));
  const response = await fetch(new URL(`v2/models/${model}/infer`, url), {
    method: 'POST',
    headers: raw === undefined ? {} : { [HEADER_LENGTH]: String(header.length) },
    body: raw === undefined ? header : Buffer.concat([header, raw]),
    ...(signal === undefined ? {} : { signal }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`the endpoint answered ${response.status}: ${JSON.stringify(answer)}`);
  return answer.outputs[0].data;
}

/** @returns {Promise<string>} name of the model's first input */
export async function inputOf(url, model) {
  const { inputs } = await (await fetch(new URL(`v2/models/${model}`, url))).json();
  return inputs[0].name;
}
