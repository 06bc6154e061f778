/* A small network, run on the page: what course_lib.web.network describes, layer by layer.
 *
 * An array is { data, shape }: its numbers, row by row, and its sizes; maps are [C, H, W]. Weights
 * come as text, two letters of base64 for a number: 12 bits, times the scale of its row.
 */
"use strict";

courseFigures.network = courseFigures.network || (() => {
  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const VALUES = new Uint8Array(128);
  [...ALPHABET].forEach((letter, value) => { VALUES[letter.charCodeAt(0)] = value; });
  const ZERO = 2048;  // what stands for 0

  /** Read an array from its text. */
  function decode({ shape, scales, text }) {
    const data = new Float32Array(text.length / 2);
    const row = data.length / scales.length;
    for (let i = 0; i < data.length; i++) {
      const bits = 64 * VALUES[text.charCodeAt(2 * i)] + VALUES[text.charCodeAt(2 * i + 1)];
      data[i] = (bits - ZERO) * scales[Math.floor(i / row)];
    }
    return { data, shape };
  }

  /** A network ready to run: its layers with their arrays read. */
  function load(layers) {
    const read = (value) => (value.text === undefined ? value : decode(value));
    return layers.map((layer) => Object.fromEntries(
      Object.entries(layer).map(([key, value]) => [key, read(value)])));
  }

  /** What each window of `layer` sees, one after another, C x KH x KW numbers each. */
  function windows(layer, x, [KH, KW], outside) {
    const [C, H, W] = x.shape;
    const [, HO, WO] = layer.shape;
    const seen = new Float32Array(HO * WO * C * KH * KW);
    let at = 0;
    for (let i = 0; i < HO; i++) {
      for (let j = 0; j < WO; j++) {
        const [top, left] = [i, j].map((n) => n * layer.stride - layer.padding);
        for (let c = 0; c < C; c++) {
          for (let r = top; r < top + KH; r++) {
            for (let s = left; s < left + KW; s++) {
              const inside = r >= 0 && r < H && s >= 0 && s < W;
              seen[at++] = inside ? x.data[(c * H + r) * W + s] : outside;
            }
          }
        }
      }
    }
    return seen;
  }

  /** The sum of w[i + n] x[j + n] over `length` n. */
  function dot(w, i, x, j, length) {
    let sum = 0;
    for (let n = 0; n < length; n++) sum += w[i + n] * x[j + n];
    return sum;
  }

  function conv2d(layer, x) {
    const { weight, bias, shape: [F, HO, WO] } = layer;
    const length = weight.data.length / F;
    const seen = windows(layer, x, weight.shape.slice(2), 0);
    const y = new Float32Array(F * HO * WO);
    for (let f = 0; f < F; f++) {
      for (let at = 0; at < HO * WO; at++) {
        const sum = dot(weight.data, f * length, seen, at * length, length);
        y[f * HO * WO + at] = bias.data[f] + sum;
      }
    }
    return y;
  }

  /** Fold each window of each map into one number, from `start`: fold(so far, pixel). */
  function pool(layer, x, start, fold) {
    const [C, HO, WO] = layer.shape;
    const area = layer.kernel_size ** 2;
    const seen = windows(layer, x, [layer.kernel_size, layer.kernel_size], start);
    const y = new Float32Array(C * HO * WO);
    for (let c = 0; c < C; c++) {
      for (let at = 0; at < HO * WO; at++) {
        let folded = start;
        const first = (at * C + c) * area;
        for (let n = first; n < first + area; n++) folded = fold(folded, seen[n]);
        y[c * HO * WO + at] = folded;
      }
    }
    return y;
  }

  const sums = (layer, x) => pool(layer, x, 0, (sum, pixel) => sum + pixel);

  /** One number for each row of the weight: unit(where the row begins, its length, its number). */
  function perUnit({ weight: { shape: [F, D] } }, unit) {
    return Float32Array.from({ length: F }, (_, f) => unit(f * D, D, f));
  }

  function distance(w, i, x, length) {
    let sum = 0;
    for (let n = 0; n < length; n++) sum += (x[n] - w[i + n]) ** 2;
    return sum;
  }

  const RUN = {
    conv2d,
    max_pool2d: (layer, x) => pool(layer, x, -Infinity, Math.max),
    avg_pool2d: (layer, x) => sums(layer, x).map((sum) => sum / layer.kernel_size ** 2),
    subsample: (layer, x) => {
      const pixels = layer.shape[1] * layer.shape[2];
      const { weight: { data: weight }, bias: { data: bias } } = layer;
      return sums(layer, x).map((sum, i) => {
        const c = Math.floor(i / pixels);
        return weight[c] * sum + bias[c];
      });
    },
    linear: (layer, x) => perUnit(layer, (first, D, f) =>
      layer.bias.data[f] + dot(layer.weight.data, first, x.data, 0, D)),
    rbf: (layer, x) => perUnit(layer, (first, D) => -distance(layer.weight.data, first, x.data, D)),
    relu: (layer, x) => x.data.map((value) => Math.max(value, 0)),
    sigmoid: (layer, x) => x.data.map((value) => 1 / (1 + Math.exp(-value))),
    tanh: ({ gain, slope }, x) => x.data.map((value) => gain * Math.tanh(slope * value)),
  };

  /** What every layer returns for one image { data, shape: [C, H, W] }, the logits last. */
  function forward(layers, image) {
    const outputs = [];
    let x = image;
    for (const layer of layers) {
      x = { data: RUN[layer.kind](layer, x), shape: layer.shape };
      outputs.push(x);
    }
    return outputs;
  }

  /** Probabilities from logits. */
  function softmax(logits) {
    const most = Math.max(...logits);
    const weights = Array.from(logits, (logit) => Math.exp(logit - most));
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / sum);
  }

  return Object.freeze({ decode, forward, load, softmax });
})();
