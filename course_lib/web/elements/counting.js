/* What layers put out, hold and cost, and how such numbers are written.
 *
 * A layer is { kind, name, ... }: conv with filters, kernel, stride, padding, groups; pool with
 * kernel, stride, padding; fc with units; gap, the global average. Maps are square.
 */
"use strict";

courseFigures.counting = courseFigures.counting || (() => {
  const BYTES = 4;  // of a value in float32
  const TIMES = "\u00d7", DOT = "\u00b7";

  /** Places of a window along an axis, and the rows at its end that no window reaches. */
  function positions(size, { kernel, stride, padding }) {
    const room = size + 2 * padding - kernel;
    return { places: Math.floor(room / stride) + 1, left: room % stride };
  }

  /** What one layer makes of maps { channels, size, field, stride }; or { problem } in words. */
  function one(layer, { channels, size, field, stride }) {
    const problem = problemOf(layer, channels, size);
    if (problem) return { problem };
    const { kind } = layer;
    const whole = kind === "fc" || kind === "gap";  // the window is the whole map
    const kernel = whole ? size : layer.kernel;
    const { places, left } = whole ? { places: 1, left: 0 } : positions(size, layer);
    let [weights, parameters, made] = [0, 0, channels];
    if (kind === "conv") {
      weights = layer.filters * kernel ** 2 * channels / layer.groups;
      made = layer.filters;
    } else if (kind === "fc") {
      weights = layer.units * channels * size ** 2;
      made = layer.units;
    }
    if (weights) parameters = weights + made;
    return {
      channels: made, size: places, left, parameters, values: made * places ** 2,
      macs: weights * places ** 2, field: field + (kernel - 1) * stride,
      stride: whole ? null : stride * layer.stride, jump: stride * (whole ? 1 : layer.stride),
    };
  }

  /** Count all layers over a square image; those after an impossible one wait for it. */
  function count(channels, size, layers) {
    let maps = { channels, size, field: 1, stride: 1 };
    let blocked = null;
    return layers.map((layer) => {
      if (blocked) return { waits: blocked };
      const row = one(layer, maps);
      if (row.problem) blocked = layer.name;
      else maps = { ...row, stride: row.jump };
      return row;
    });
  }

  /** Why a layer cannot be, and what would fit. */
  function problemOf(layer, channels, size) {
    const { kind, kernel, padding, groups, filters } = layer;
    if (kind === "conv" && (channels % groups || filters % groups)) {
      const whose = channels % groups ? `${channels} channels` : `${filters} filters`;
      const fits = [];
      for (let g = 1; g < groups; g += 1) if (!(channels % g || filters % g)) fits.push(g);
      return `${whose} do not divide into ${groups} groups. ${listed(fits)} would fit.`;
    }
    if (kind !== "conv" && kind !== "pool") return null;
    if (kind === "pool" && 2 * padding > kernel) {
      return `With padding ${padding} some windows of ${kernel} would see no pixel at all. ` +
        `Padding up to ${Math.floor(kernel / 2)} fits.`;
    }
    const padded = size + 2 * padding;
    if (kernel <= padded) return null;
    const where = padding ? `${size} + 2 ${DOT} ${padding} = ${padded}` : size;
    return `A window of ${kernel} does not fit ${where} rows and columns. ` +
      `A kernel up to ${padded} fits, or padding from ${Math.ceil((kernel - size) / 2)}.`;
  }

  /** The last few of the numbers in words: 2, 3 or 4. */
  function listed(numbers) {
    const few = numbers.slice(-4);
    const last = few.pop();
    return few.length ? `${few.join(", ")} or ${last}` : String(last);
  }

  /** A count in full: 1,728. */
  function exact(value) {
    return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  }

  /** A count as people say it: whole below ten thousand, above that in three digits. */
  function short(value) {
    if (value < 10000) return exact(value);
    const [size, letter] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "K"]].find(([n]) =>
      value >= 0.9995 * n);
    return `${(value / size).toPrecision(3)}${letter}`;
  }

  /** The memory of so many values: 8.04 MB, 16.4 KB. */
  function memory(values) {
    const bytes = BYTES * values;
    if (bytes < 1000) return `${bytes} B`;
    const [size, letter] = bytes >= 999500 ? [1e6, "MB"] : [1e3, "KB"];
    const amount = bytes / size;
    return `${amount.toFixed(amount < 10 ? 2 : amount < 100 ? 1 : 0)} ${letter}`;
  }

  /** A share in words: 61 %, 0.4 %, < 0.1 %. */
  function percent(share) {
    if (!share) return "0 %";
    if (share < 0.001) return "< 0.1 %";
    return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
  }

  /** Rows, columns and channels: 55 × 55 × 96. */
  function shapeOf({ channels, size }) {
    return [size, size, channels].join(` ${TIMES} `);
  }

  return { DOT, TIMES, count, exact, memory, percent, positions, shapeOf, short };
})();
