/**
 * Bodies of `POST /v2/models/{model}/infer`, for any client or server of the Open Inference Protocol
 * v2, with the binary tensor extension or without. With it the HTTP header named here says how long
 * the JSON part is, and raw bytes follow that; without it the whole body is JSON.
 *
 * @see https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension
 */
import { IsthmusError } from '../errors.ts';
import { joinBody, splitBody } from './envelope.ts';
import {
  badFrame,
  checkLimit,
  type JsonObject,
  listField,
  objectField,
  optionalObject,
  parseJsonObject,
  textField,
} from './json.ts';
import { MAX_JSON_BODY_BYTES, MAX_NAME_LENGTH, MAX_TENSORS_PER_MESSAGE } from './limits.ts';
import type { IncomingTensor, OutgoingTensor } from './oip.ts';
import { readTensors, writeTensors } from './oip.ts';

export const HEADER_LENGTH_HEADER = 'Inference-Header-Content-Length';
export const BINARY_CONTENT_TYPE = 'application/octet-stream';
export const JSON_CONTENT_TYPE = 'application/json';

export interface InferBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Value of `Inference-Header-Content-Length`; absent when the whole body is JSON. */
  readonly headerBytes?: number;
}

export interface RequestedOutput {
  readonly name: string;
  /** As raw bytes; else as a JSON array. */
  readonly binary: boolean;
}

interface InferRequest<T> {
  /** Echoed in the response. */
  readonly id?: string;
  readonly parameters: JsonObject;
  readonly inputs: readonly T[];
  /** Empty asks for all. */
  readonly outputs: readonly RequestedOutput[];
  /** How outputs that are not listed are wanted. */
  readonly binaryOutput: boolean;
}

export type OutgoingInferRequest = InferRequest<OutgoingTensor>;
export type IncomingInferRequest = InferRequest<IncomingTensor>;

interface InferResponse<T> {
  readonly modelName: string;
  readonly id?: string;
  readonly parameters: JsonObject;
  readonly outputs: readonly T[];
}

export type OutgoingInferResponse = InferResponse<OutgoingTensor>;
export type IncomingInferResponse = InferResponse<IncomingTensor>;

/** Throws `bad-tensor` or `limit-exceeded`. */
export function encodeInferRequest(request: OutgoingInferRequest): InferBody {
  const { entries, chunks } = writeTensors(request.inputs);
  const parameters = request.binaryOutput
    ? { ...request.parameters, binary_data_output: true }
    : request.parameters;
  const outputs = request.outputs.map(({ name, binary }) => ({ name, parameters: { binary_data: binary } }));
  return body(
    { id: request.id, parameters, inputs: entries, outputs: outputs.length === 0 ? undefined : outputs },
    chunks,
  );
}

/** Reads an untrusted body. Throws `bad-frame`, `bad-tensor` or `limit-exceeded`. */
export function decodeInferRequest(bytes: Uint8Array, headerBytes?: number): IncomingInferRequest {
  const { header, raw } = split(bytes, headerBytes);
  const parameters = optionalObject(header.parameters, 'the parameters of a request');
  const binaryOutput = parameters.binary_data_output === true;
  return {
    ...optionalId(header),
    parameters,
    inputs: uniquelyNamed(readTensors(header.inputs, raw)),
    outputs: requestedOutputs(header.outputs, binaryOutput),
    binaryOutput,
  };
}

/** Outputs with `json` set become JSON arrays, the others raw bytes. Throws `bad-tensor` or `limit-exceeded`. */
export function encodeInferResponse(response: OutgoingInferResponse): InferBody {
  const { entries, chunks } = writeTensors(response.outputs);
  const { modelName: model_name, id, parameters } = response;
  return body({ model_name, id, parameters, outputs: entries }, chunks);
}

/** Reads an untrusted body. Throws `bad-frame`, `bad-tensor` or `limit-exceeded`. */
export function decodeInferResponse(bytes: Uint8Array, headerBytes?: number): IncomingInferResponse {
  const { header, raw } = split(bytes, headerBytes);
  return {
    ...optionalId(header),
    modelName: textField(header.model_name, 'model name', MAX_NAME_LENGTH),
    parameters: optionalObject(header.parameters, 'the parameters of a response'),
    outputs: uniquelyNamed(readTensors(header.outputs, raw)),
  };
}

/** Value of the HTTP header, of which `undefined` and `null` mean that it is not there. Throws `bad-frame`. */
export function parseHeaderLength(value: string | null | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  // Ten digits are already far above the bound, which is checked where the body is split.
  if (!/^\d{1,10}$/.test(value)) throw badFrame(`${HEADER_LENGTH_HEADER} is not a length`);
  return Number(value);
}

function body(header: JsonObject, chunks: readonly Uint8Array[]): InferBody {
  if (chunks.length > 0) return joinBody(header, chunks);
  return { bytes: joinBody(header, [], 0, MAX_JSON_BODY_BYTES).bytes };
}

function split(bytes: Uint8Array, headerBytes: number | undefined): { header: JsonObject; raw: Uint8Array } {
  if (headerBytes !== undefined) return splitBody(bytes, headerBytes);
  checkLimit('bytes of a JSON body', bytes.byteLength, MAX_JSON_BODY_BYTES);
  return { header: parseJsonObject(bytes, 'the body'), raw: bytes.subarray(bytes.byteLength) };
}

function optionalId(header: JsonObject): { readonly id?: string } {
  // Triton answers a request without an id with an empty one.
  if (header.id === undefined || header.id === '') return {};
  return { id: textField(header.id, 'id', MAX_NAME_LENGTH) };
}

function uniquelyNamed(tensors: readonly IncomingTensor[]): readonly IncomingTensor[] {
  if (new Set(tensors.map(({ name }) => name)).size < tensors.length)
    throw new IsthmusError('bad-tensor', 'a tensor is given twice');
  return tensors;
}

function requestedOutputs(value: unknown, binaryOutput: boolean): readonly RequestedOutput[] {
  return listField(value, 'outputs of a request', MAX_TENSORS_PER_MESSAGE).map((entry) => {
    const output = objectField(entry, 'an output of a request');
    const { binary_data: binary } = optionalObject(output.parameters, 'the parameters of an output');
    const name = textField(output.name, 'name of an output', MAX_NAME_LENGTH);
    return { name, binary: typeof binary === 'boolean' ? binary : binaryOutput };
  });
}
