/* RoI pooling and RoIAlign of one map, and where their gradients go.
 *
 * A map is a table x[row][column], a box [x1, y1, x2, y2] in pixels of the image, `scale` the cells
 * in a pixel, `size` the rows and columns of the output. A result has, for each bin [p][q], its
 * value `y`, and `terms`, the cells that it came from: { cell, weight }.
 */
"use strict";

courseFigures.regions = courseFigures.regions || (() => {
  const clamp = (n, low, high) => Math.min(Math.max(n, low), high);
  const grid = ([PH, PW], make) => Array.from({ length: PH }, (_, p) =>
    Array.from({ length: PW }, (_, q) => make(p, q)));

  /** Round to the nearest whole number, halves away from 0. */
  function halfAway(value) {
    const whole = Math.trunc(value);
    return whole + Math.sign(value) * (Math.abs(value - whole) >= 0.5);
  }

  /** Where the bins between two corners, in cells, start and end; `size` cells there are. */
  function bins(low, high, parts, size) {
    const first = halfAway(low);
    const step = Math.max(halfAway(high) - first + 1, 1) / parts;
    return Array.from({ length: parts }, (_, p) =>
      [Math.floor(p * step), Math.ceil((p + 1) * step)].map((at) => clamp(at + first, 0, size)));
  }

  /** The largest of each bin; an empty bin gives 0, from no cell. */
  function pool(x, box, size, scale) {
    const [left, top, right, bottom] = box.map((at) => at * scale);
    const rows = bins(top, bottom, size[0], x.length);
    const columns = bins(left, right, size[1], x[0].length);
    const terms = grid(size, (p, q) => {
      let best = null;
      for (let r = rows[p][0]; r < rows[p][1]; r++) {
        for (let c = columns[q][0]; c < columns[q][1]; c++) {
          if (!best || x[r][c] > x[best[0]][best[1]]) best = [r, c];
        }
      }
      return best ? [{ cell: best, weight: 1 }] : [];
    });
    const y = terms.map((row) => row.map(([term]) => (term ? x[term.cell[0]][term.cell[1]] : 0)));
    return { rows, columns, terms, y };
  }

  /** Along one axis the points of each bin: their place, whether it counts, and two cells. */
  function points(low, high, parts, size, ratio) {
    const [from, to] = [low - 0.5, high - 0.5];
    const step = (to - from) / parts;
    return Array.from({ length: parts }, (_, p) => Array.from({ length: ratio }, (_, k) => {
      const at = from + p * step + (k + 0.5) * (step / ratio);
      const inside = clamp(at, 0, size - 1);
      const first = Math.floor(inside);
      const rest = inside - first;
      return { at, counts: at >= -1 && at <= size,
        cells: [[first, 1 - rest], [Math.min(first + 1, size - 1), rest]] };
    }));
  }

  /**
   * The mean of ratio x ratio points of each bin, each between the centres of four cells. The
   * result has `samples` besides: { at: [row, column], value, terms }, the weights of one adding
   * up to 1, or to 0 more than a cell outside of the map.
   */
  function align(x, box, size, scale, ratio) {
    const [left, top, right, bottom] = box.map((at) => at * scale);
    const down = points(top, bottom, size[0], x.length, ratio);
    const across = points(left, right, size[1], x[0].length, ratio);
    const samples = grid(size, (p, q) => down[p].flatMap((row) => across[q].map((column) => {
      const counts = row.counts && column.counts;
      const terms = counts ? row.cells.flatMap(([r, a]) => column.cells.map(([c, b]) =>
        ({ cell: [r, c], weight: a * b }))) : [];
      const value = terms.reduce((sum, { cell: [r, c], weight }) => sum + weight * x[r][c], 0);
      return { at: [row.at, column.at], value, terms };
    })));
    const share = 1 / ratio ** 2;
    const terms = samples.map((row) => row.map((of) => of.flatMap((sample) =>
      sample.terms.map(({ cell, weight }) => ({ cell, weight: share * weight })))));
    const y = samples.map((row) => row.map((of) =>
      of.reduce((sum, { value }) => sum + value, 0) * share));
    return { samples, terms, y };
  }

  /**
   * The gradient of the map, of several results with the gradient `dy` of each: a table of cells
   * { sum, from }, `from` listing { region, bin, weight, dy } of all bins that took from the cell.
   */
  function backward([H, W], results, dy) {
    const dx = grid([H, W], () => ({ sum: 0, from: [] }));
    results.forEach(({ terms }, region) => terms.forEach((row, p) => row.forEach((of, q) => {
      for (const { cell: [r, c], weight } of of) {
        if (!weight) continue;
        const cell = dx[r][c];
        const pull = dy[region][p][q];
        cell.sum += weight * pull;
        const before = cell.from.find((one) => one.region === region &&
          one.bin[0] === p && one.bin[1] === q);
        if (before) before.weight += weight;
        else cell.from.push({ region, bin: [p, q], weight, dy: pull });
      }
    })));
    return dx;
  }

  return Object.freeze({ align, backward, bins, halfAway, pool });
})();
