/* A chart that fills the width there is: a frame with ticks, and lines in it.
 *
 * The words are HTML and keep their size; the lines are a drawing of 1000 by 1000 units, stretched
 * over the frame. A line of length 0 with round ends is a dot.
 */
"use strict";

courseFigures.chart = courseFigures.chart || (() => {
  const { node, shape } = courseFigures;
  const UNITS = 1000;

  class Chart {
    /** `xLabel` and `yLabel` name the axes, with units. */
    constructor({ xLabel, yLabel }) {
      this.drawing = shape("svg", { viewBox: `0 0 ${UNITS} ${UNITS}`, role: "img",
        preserveAspectRatio: "none" });
      this.marks = node("div", { class: "ticks", "aria-hidden": "true" });
      const hidden = { "aria-hidden": "true" };
      this.frame = node("div", { class: "frame" }, this.drawing, this.marks);
      this.yName = node("p", { class: "axis", ...hidden }, yLabel);
      this.xName = node("p", { class: "axis x", ...hidden }, xLabel);
      this.element = node("div", { class: "chart" }, this.yName, this.frame, this.xName);
    }

    /** Set both ranges, and their ticks: [number, text] each. */
    scale({ x, y, xTicks, yTicks }) {
      Object.assign(this, { x, y });
      const share = (value, [from, to]) => 100 * (value - from) / (to - from);
      const ticks = [
        ...xTicks.map(([value, text]) =>
          node("span", { class: "tick x", style: `left: ${share(value, x)}%` }, text)),
        ...yTicks.map(([value, text]) =>
          node("span", { class: "tick y", style: `bottom: ${share(value, y)}%` }, text)),
      ];
      this.marks.replaceChildren(...ticks);
      const grid = [
        ...xTicks.map(([value]) => `M${this.at(value, y[0])[0]} 0V${UNITS}`),
        ...yTicks.map(([value]) => `M0 ${this.at(x[0], value)[1]}H${UNITS}`),
      ];
      this.grid = shape("path", { class: "grid", d: grid.join("") });
    }

    /** A point in units of the drawing. */
    at(x, y) {
      const place = (value, [from, to]) => UNITS * (value - from) / (to - from);
      return [place(x, this.x), UNITS - place(y, this.y)].map((n) => Number(n.toFixed(2)));
    }

    /** The path through points [x, y]; where y is null it is broken, a point alone is a dot. */
    line(points) {
      let before = false;
      return points.map(([x, y], n) => {
        if (y === null) {
          before = false;
          return "";
        }
        const [px, py] = this.at(x, y);
        const piece = `${before ? "L" : "M"}${px} ${py}`;
        const alone = !before && (n + 1 === points.length || points[n + 1][1] === null);
        before = true;
        return alone ? `${piece}h0` : piece;
      }).join("");
    }

    /** The area between two such lines, which are broken at the same places. */
    band(low, high) {
      const pieces = [];
      let start = null;
      for (let n = 0; n <= low.length; n++) {
        const there = n < low.length && low[n][1] !== null && high[n][1] !== null;
        if (there && start === null) start = n;
        if (!there && start !== null) {
          const edge = [...high.slice(start, n), ...low.slice(start, n).reverse()];
          pieces.push(`M${edge.map(([x, y]) => this.at(x, y).join(" ")).join("L")}z`);
          start = null;
        }
      }
      return pieces.join("");
    }

    /** Draw these shapes over the grid, and say what they show. */
    draw(words, ...shapes) {
      this.drawing.setAttribute("aria-label", words);
      this.drawing.replaceChildren(this.grid, ...shapes);
    }
  }

  /** Ticks of a logarithmic axis over decades: [-16, "1e-16"], about six of them. */
  function decades(from, to) {
    const step = [1, 2, 4, 8, 16, 32, 64].find((n) => (to - from) / n <= 7) || 128;
    const ticks = [];
    for (let at = step * Math.ceil(from / step); at <= to; at += step) {
      const plain = Math.abs(at) < 4;
      ticks.push([at, plain ? String(10 ** at) : `1e${at}`.replace("-", "\u2212")]);
    }
    return ticks;
  }

  /** Ticks of a linear axis, about five of them. */
  function evenly(from, to) {
    const size = 10 ** Math.floor(Math.log10((to - from) / 5));
    const step = [1, 2, 5, 10].map((n) => n * size).find((n) => (to - from) / n <= 6.5);
    const ticks = [];
    for (let n = Math.ceil(from / step - 1e-9); n * step <= to * (1 + 1e-9); n++) {
      ticks.push([n * step, String(Number((n * step).toPrecision(6)))]);
    }
    return ticks;
  }

  /** A number of any size, in two digits: 0.043, 6.1e−16. */
  function scientific(value) {
    const size = Math.abs(value);
    const text = size === 0 || (size >= 0.001 && size < 10000)
      ? String(Number(value.toPrecision(2))) : value.toExponential(1);
    return text.replaceAll("-", "\u2212").replace("e+", "e");
  }

  return Object.freeze({ Chart, decades, evenly, scientific });
})();
