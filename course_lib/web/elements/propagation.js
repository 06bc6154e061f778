/* A signal on its way through fully connected layers, and its gradient on the way back.
 *
 * Arrays of numbers are flat, row by row: a batch has `inputs` rows of `width`, a weight `width`
 * rows of `width`. What the layers compute, and in which order the numbers of the generator are
 * used, course_lib.web.through_layers says.
 */
"use strict";

courseFigures.propagation = courseFigures.propagation || (() => {
  const LEAK = 0.1;  // slope of the leaky ReLU below 0
  const EPS = 1e-5;
  const sigmoid = (z) => 1 / (1 + Math.exp(-z));

  /* A function f with its derivative df; `slope`, below 0, of those made of two straight lines. */
  const ACTIVATIONS = {
    ReLU: { f: (z) => Math.max(z, 0), df: (z) => (z > 0 ? 1 : 0), slope: 0 },
    "leaky ReLU": { f: (z) => (z > 0 ? z : LEAK * z), df: (z) => (z > 0 ? 1 : LEAK), slope: LEAK },
    tanh: { f: Math.tanh, df: (z) => 1 - Math.tanh(z) ** 2 },
    sigmoid: { f: sigmoid, df: (z) => sigmoid(z) * sigmoid(-z) },
    none: { f: (z) => z, df: () => 1, slope: 1 },
  };

  /** Normal numbers of mean 0 and variance 1: mulberry32, and Box and Muller's method. */
  function normals(seed, count) {
    let state = Math.imul(seed, 0x9E3779B9);
    const uniform = () => {
      state = (state + 0x6D2B79F5) | 0;
      let t = Math.imul(state ^ state >>> 15, state | 1);
      t = t + Math.imul(t ^ t >>> 7, t | 61) ^ t;
      return (((t ^ t >>> 14) >>> 0) + 0.5) / 2 ** 32;
    };
    const made = new Float64Array(count);
    for (let n = 0; n < count; n += 2) {
      const radius = Math.sqrt(-2 * Math.log(uniform()));
      const angle = 2 * Math.PI * uniform();
      made[n] = radius * Math.cos(angle);
      if (n + 1 < count) made[n + 1] = radius * Math.sin(angle);
    }
    return made;
  }

  /** Inputs, the gradient at the last layer, and the weights of a gain of 1, drawn once. */
  function draw({ seed, width, inputs, most }) {
    const batch = inputs * width;
    const numbers = normals(seed, 2 * batch + most * width ** 2);
    const weights = Array.from({ length: most }, (_, n) => {
      const start = 2 * batch + n * width ** 2;
      return numbers.subarray(start, start + width ** 2).map((w) => w / Math.sqrt(width));
    });
    return { width, inputs, x: numbers.subarray(0, batch),
      dy: numbers.subarray(batch, 2 * batch), weights };
  }

  /** z = gain h w', for each row of h. */
  function forwardProduct(h, w, gain, width) {
    const z = new Float64Array(h.length);
    for (let row = 0; row < h.length; row += width) {
      for (let j = 0; j < width; j++) {
        let sum = 0;
        for (let k = 0, at = j * width; k < width; k++) sum += h[row + k] * w[at + k];
        z[row + j] = gain * sum;
      }
    }
    return z;
  }

  /** dh = gain dz w, for each row of dz. */
  function backwardProduct(dz, w, gain, width) {
    const dh = new Float64Array(dz.length);
    for (let row = 0; row < dz.length; row += width) {
      for (let j = 0; j < width; j++) {
        const scaled = gain * dz[row + j];
        for (let k = 0, at = j * width; k < width; k++) dh[row + k] += scaled * w[at + k];
      }
    }
    return dh;
  }

  /** Of each unit, the mean over the batch of what `value(i)` gives at its numbers. */
  function unitMeans(length, width, value) {
    const means = new Float64Array(width);
    for (let i = 0; i < length; i++) means[i % width] += value(i);
    return means.map((sum) => sum * width / length);
  }

  /** The variance of each unit over the batch, and its mean. */
  function spread(z, width) {
    const means = unitMeans(z.length, width, (i) => z[i]);
    return { means, variances: unitMeans(z.length, width, (i) => (z[i] - means[i % width]) ** 2) };
  }

  /** Normalise each unit over the batch, in place; return the deviations. */
  function normalise(z, width) {
    const { means, variances } = spread(z, width);
    const deviations = variances.map((variance) => Math.sqrt(variance + EPS));
    for (let i = 0; i < z.length; i++) z[i] = (z[i] - means[i % width]) / deviations[i % width];
    return deviations;
  }

  /** The gradient before a normalisation, in place; z is what came out of it. */
  function normaliseBackward(dz, z, deviations, width) {
    const means = unitMeans(dz.length, width, (i) => dz[i]);
    const along = unitMeans(dz.length, width, (i) => dz[i] * z[i]);
    for (let i = 0; i < dz.length; i++) {
      const unit = i % width;
      dz[i] = (dz[i] - means[unit] - z[i] * along[unit]) / deviations[unit];
    }
  }

  /** Send the inputs through `depth` layers: h[0] are the inputs, z[l] and h[l] are layer l's. */
  function forward(drawn, { activation, gain, depth, normalised }) {
    const { f } = ACTIVATIONS[activation];
    const { width, weights } = drawn;
    const made = { h: [drawn.x], z: [null], deviations: [null] };
    for (let l = 1; l <= depth; l++) {
      const z = forwardProduct(made.h[l - 1], weights[l - 1], gain, width);
      made.deviations.push(normalised ? normalise(z, width) : null);
      made.z.push(z);
      made.h.push(z.map(f));
    }
    return made;
  }

  /** The gradients at h[0] to h[depth], from that at the last. */
  function backward(drawn, { activation, gain, depth }, { z, deviations }) {
    const { df } = ACTIVATIONS[activation];
    const { width, weights } = drawn;
    const gradients = [drawn.dy];
    for (let l = depth; l >= 1; l--) {
      const dz = gradients[0].map((dh, i) => dh * df(z[l][i]));
      if (deviations[l]) normaliseBackward(dz, z[l], deviations[l], width);
      gradients.unshift(backwardProduct(dz, weights[l - 1], gain, width));
    }
    return gradients;
  }

  function meanSquare(numbers) {
    return numbers.reduce((sum, value) => sum + value * value, 0) / numbers.length;
  }

  /** What of the mean square differs from input to input: the mean variance of the units. */
  function difference(numbers, width) {
    return spread(numbers, width).variances.reduce((a, b) => a + b) / width;
  }

  /** Means of f(z), f(z)^2 and f'(z)^2 where z is normal, of mean 0 and variance q. */
  function moments(activation, q) {
    const { f, df, slope } = ACTIVATIONS[activation];
    if (slope !== undefined) {
      const half = (1 + slope ** 2) / 2;
      return { mean: (1 - slope) * Math.sqrt(q / (2 * Math.PI)), square: half * q, slopes: half };
    }
    const STEP = 0.1;  // of the trapezoidal rule, which for smooth functions is exact enough
    const found = { mean: 0, square: 0, slopes: 0 };
    for (let u = -80; u <= 80; u++) {
      const t = u * STEP;
      const density = STEP * Math.exp(-t * t / 2) / Math.sqrt(2 * Math.PI);
      const z = Math.sqrt(q) * t;
      found.mean += density * f(z);
      found.square += density * f(z) ** 2;
      found.slopes += density * df(z) ** 2;
    }
    return found;
  }

  /**
   * What to expect of layers of endless width and, normalised, of a large batch: the mean squares
   * of the signal, from 1 at the input, and those of the gradient, from 1 at the last layer.
   */
  function expected({ activation, gain, depth, normalised }) {
    const signal = [1];
    const factors = [];  // of the gradient, on its way back through each layer
    let variance = 1;  // of a unit over the inputs
    for (let l = 1; l <= depth; l++) {
      const { mean, square, slopes } = moments(activation,
        normalised ? 1 : gain ** 2 * signal[l - 1]);
      factors.push(normalised ? slopes / variance : gain ** 2 * slopes);
      signal.push(square);
      variance = square - mean ** 2;
    }
    const gradient = [1];
    for (const factor of factors.reverse()) gradient.unshift(gradient[0] * factor);
    return { signal, gradient };
  }

  return Object.freeze({ ACTIVATIONS, backward, difference, draw, expected, forward, meanSquare,
    normals });
})();
