/** Scores in float32 whatever the model computes in: tokens are chosen from them alike everywhere. */
import { withGraph } from '../../graph/model-graph.ts';
import { dataTypeOf, type OnnxModel, type OnnxValue } from '../../graph/onnx-types.ts';

const FLOAT32 = dataTypeOf('float32');

/** AttributeProto.type (field 20) of a whole number. */
const INT_ATTRIBUTE = Uint8Array.of(0xa0, 0x01, 2);

/** The model with its output `scores` cast where it is float16; a new output has a name of its own. */
export function floatScores(
  model: OnnxModel,
  scores: OnnxValue,
): { readonly model: OnnxModel; readonly scores: OnnxValue } {
  if (scores.elemType !== dataTypeOf('float16')) return { model, scores };
  const { rawType: _rawType, ...rest } = scores;
  const wide: OnnxValue = { ...rest, name: `${scores.name}/float32`, elemType: FLOAT32 };
  const cast = {
    name: wide.name,
    opType: 'Cast',
    domain: '',
    inputs: [scores.name],
    outputs: [wide.name],
    attributes: [{ name: 'to', graphs: [], ints: [], int: BigInt(FLOAT32), rest: [INT_ATTRIBUTE] }],
    rest: [],
  };
  const outputs = model.graph.outputs.map((output) => (output.name === scores.name ? wide : output));
  return { model: withGraph(model, { nodes: [...model.graph.nodes, cast], outputs }), scores: wide };
}
