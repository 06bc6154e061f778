/* The arithmetic of a convolution and its gradients, for one image of one channel.
 *
 * An input pixel (r, c) meets a weight (a, b) for an output (i, j): r = i stride + a - padding,
 * and c likewise. Everything is a sum over these meetings:
 *
 *   y[i, j]       = sum of x[r, c] k[a, b]      over the meetings of output (i, j)
 *   dx[r, c]      = sum of dy[i, j] k[a, b]     over the meetings of pixel (r, c)
 *   dweight[a, b] = sum of dy[i, j] x[r, c]     over the meetings of weight (a, b)
 *
 * Sizes: x (H, W), weight (KH, KW), y and dy (HO, WO); a geometry is { stride, padding }.
 */
"use strict";

courseFigures.convolution = courseFigures.convolution || (() => {
  /** A rows x columns array whose numbers are value(row, column). */
  function table(rows, columns, value) {
    const row = (r) => Array.from({ length: columns }, (_, c) => value(r, c));
    return Array.from({ length: rows }, (_, r) => row(r));
  }

  const zeros = (like) => table(like.length, like[0].length, () => 0);

  /** Rows and columns of the output, [HO, WO]. */
  function outputShape(x, weight, { stride, padding }) {
    const size = (n, k) => Math.floor((n + 2 * padding - k) / stride) + 1;
    return [size(x.length, weight.length), size(x[0].length, weight[0].length)];
  }

  /**
   * All meetings, output by output. One on the padding has `inside: false`: x is 0 there, and the
   * gradient is not kept.
   */
  function meetings(x, weight, geometry) {
    const { stride, padding } = geometry;
    const [HO, WO] = outputShape(x, weight, geometry);
    const found = [];
    for (let i = 0; i < HO; i++) {
      for (let j = 0; j < WO; j++) {
        for (let a = 0; a < weight.length; a++) {
          for (let b = 0; b < weight[0].length; b++) {
            const [r, c] = [i * stride + a - padding, j * stride + b - padding];
            const inside = r >= 0 && r < x.length && c >= 0 && c < x[0].length;
            const met = { pixel: [r, c], weight: [a, b], output: [i, j], inside };
            found.push({ ...met, x: inside ? x[r][c] : 0, k: weight[a][b] });
          }
        }
      }
    }
    return found;
  }

  /** y (HO, WO). */
  function forward(x, weight, geometry) {
    const y = table(...outputShape(x, weight, geometry), () => 0);
    for (const met of meetings(x, weight, geometry)) {
      const [i, j] = met.output;
      y[i][j] += met.x * met.k;
    }
    return y;
  }

  /** { dx, dweight } as they stand once the first `outputs` of dy, row by row, were handed back. */
  function backward(x, weight, dy, geometry, outputs = Infinity) {
    const dx = zeros(x);
    const dweight = zeros(weight);
    for (const met of meetings(x, weight, geometry)) {
      const [[r, c], [a, b], [i, j]] = [met.pixel, met.weight, met.output];
      if (i * dy[0].length + j >= outputs) break;
      dweight[a][b] += dy[i][j] * met.x;
      if (met.inside) dx[r][c] += dy[i][j] * met.k;
    }
    return { dx, dweight };
  }

  /** `dy` repeated, or cut, to the shape [HO, WO]. */
  function repeated(dy, [HO, WO]) {
    return table(HO, WO, (i, j) => dy[i % dy.length][j % dy[0].length]);
  }

  /** The kernel turned by 180 degrees. */
  function turned(weight) {
    return [...weight].reverse().map((row) => [...row].reverse());
  }

  /**
   * dy with stride - 1 zeros between its numbers and zeros around, so that sliding the turned
   * kernel over it gives dx: dx[r, c] = sum of turned[a, b] spread[r + a][c + b].
   */
  function spread(x, weight, dy, { stride, padding }) {
    const [top, left] = [weight.length - 1 - padding, weight[0].length - 1 - padding];
    const at = (n, first) => (n - first) / stride;
    return table(x.length + weight.length - 1, x[0].length + weight[0].length - 1, (r, c) => {
      const [i, j] = [at(r, top), at(c, left)];
      return dy[i] !== undefined && dy[i][j] !== undefined ? dy[i][j] : 0;
    });
  }

  /** The terms { pixel: [row, column] of spread, weight: [a, b], dy, k } of dx[r, c]. */
  function correlationTerms(spreadDy, kernel, [r, c]) {
    return kernel.flatMap((row, a) => row.map((k, b) => {
      const [p, q] = [r + a, c + b];
      return { pixel: [p, q], weight: [a, b], dy: spreadDy[p][q], k };
    }));
  }

  return Object.freeze({
    backward, correlationTerms, forward, meetings, outputShape, repeated, spread, table, turned,
  });
})();
