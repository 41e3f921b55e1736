/** The network, run by ONNX Runtime Web from files beside this one. Nothing else is asked for. */

import * as ort from "./runtime/ort.wasm.min.js";

/**
 * What `model.json` says.
 * @typedef {object} Facts
 * @property {string[]} classNames in the order of the outputs
 * @property {number[]} inputShape of one image
 * @property {string} output name of the model's output
 * @property {{model: number, runtime: number}} bytes what has to be loaded
 */

/**
 * @typedef {object} Network
 * @property {string[]} classNames
 * @property {(pixels: Uint8Array) => Promise<Float32Array>} predict from one image, 28×28 bytes
 *   row by row, to one probability a class; one call at a time
 */

/**
 * Load the runtime and the network.
 * @param {(share: number) => void} [onProgress] told how much is there, 0 to 1
 * @returns {Promise<Network>}
 */
export async function loadNetwork(onProgress = () => {}) {
  /** @type {Facts} */
  const facts = JSON.parse(new TextDecoder().decode(await load("model.json")));
  const sizes = [facts.bytes.runtime, facts.bytes.model];
  const loaded = [0, 0];
  /** @type {(which: number) => (bytes: number) => void} */
  const count = (which) => (bytes) => {
    loaded[which] = Math.min(bytes, sizes[which]);
    onProgress((loaded[0] + loaded[1]) / (sizes[0] + sizes[1]));
  };
  const [runtime, model] = await Promise.all([
    load("runtime/ort-wasm-simd-threaded.wasm.gz", count(0)).then(unpacked),
    load("model.onnx", count(1)),
  ]);
  ort.env.wasm.numThreads = 1; // more would need headers that static hosts do not send
  ort.env.wasm.wasmPaths = { mjs: address("runtime/ort-wasm-simd-threaded.js") };
  ort.env.wasm.wasmBinary = runtime;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const shape = [1, ...facts.inputShape];
  return {
    classNames: facts.classNames,
    async predict(pixels) {
      const images = new ort.Tensor("uint8", pixels, shape);
      const answers = await session.run({ images });
      const scores = /** @type {Float32Array} */ (answers[facts.output].data);
      // One output says how likely the second of two classes is.
      return scores.length === 1 ? Float32Array.of(1 - scores[0], scores[0]) : scores;
    },
  };
}

/**
 * @param {string} path
 * @returns {string}
 */
function address(path) {
  return new URL(path, import.meta.url).href;
}

/**
 * @param {string} path
 * @param {(bytes: number) => void} [onProgress]
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function load(path, onProgress = () => {}) {
  const response = await fetch(address(path));
  if (!response.ok || !response.body) {
    throw new Error(`the web server gave no ${path} (status ${response.status})`);
  }
  const reader = response.body.getReader();
  /** @type {Uint8Array[]} */
  const parts = [];
  let bytes = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    bytes += part.value.length;
    onProgress(bytes);
  }
  const whole = new Uint8Array(bytes);
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

/**
 * Unpack gzip, unless the web server has let the browser do so already.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<ArrayBuffer>}
 */
async function unpacked(bytes) {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!isGzip) return bytes.buffer;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
