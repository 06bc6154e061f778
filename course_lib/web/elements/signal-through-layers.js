/* <course-signal-through-layers>: a signal in up to fifty layers, and its gradient going back.
 *
 * Set the gain of the weights, the activation, the depth, batch normalisation, and which way to
 * look. The chart shows the mean square at every layer, computed at once with the weights drawn,
 * beside what theory expects; below it stands how the numbers of some layers are distributed.
 */
"use strict";

courseFigures.define("course-signal-through-layers", (course) => {
  const { chart: { Chart, decades, scientific }, choices, count, Figure, node, propagation, shape,
    slider } = course;
  const { ACTIVATIONS } = propagation;

  const QUIET = 500;  // ms without a change, before the figure says what it shows
  const BARS = 24;
  const ROUNDING = 1e-24;  // of a mean square: differences below are nothing but rounding
  const HALF = [6e-8, 65504], SINGLE = [1.4e-45, 3.4e38];  // smallest and largest numbers
  const SATURATED = 0.05;  // what is left of the way to the end of a sigmoid's range or a tanh's
  const ENDS = [2, 4, 8, 16, 32, 64, 128, 256];  // of the axis, in decades
  const percent = (share) => (share > 0 && share < 0.01 ? "less than 1 %"
    : share < 1 && share > 0.99 ? "more than 99 %" : `${Math.round(100 * share)} %`);
  const share = (numbers, holds) => numbers.reduce((n, value) => n + holds(value), 0) /
    numbers.length;

  return class extends Figure {
    label = "A signal through many layers";
    sheets = ["choices", "chart", "signal-through-layers"];

    build(data) {
      const { gains, gain, activation, depth, normalised, backward, seed } = data;
      Object.assign(this, { data, gain: gains.indexOf(gain), activation, depth, normalised,
        backward, seed });
      this.chart = new Chart({ xLabel: "layer (0 is the input)", yLabel: "mean square" });
      this.keys = node("p", { class: "keys" });
      this.words = node("p", { class: "words" });
      this.histograms = node("div", { class: "histograms" });
      this.stage.append(this.controls(), this.chart.element, this.keys, this.words,
        this.histograms);
      this.drawn = propagation.draw({ ...data, seed });
      this.draw();
    }

    controls() {
      const { data } = this;
      const ways = choices({ legend: "way", name: "way", value: this.backward,
        options: [{ value: false, text: "forward: the signal" },
          { value: true, text: "backward: its gradient" }],
        onchoose: (backward) => this.choose({ backward }) });
      const activations = choices({ legend: "activation", name: "activation",
        value: this.activation, options: data.activations.map((value) => ({ value, text: value })),
        onchoose: (activation) => this.choose({ activation }) });
      this.gains = slider({ label: "gain", min: 0, max: data.gains.length - 1, value: this.gain,
        words: (n) => this.gainWords(n), onmove: (gain) => this.choose({ gain }) });
      this.gains.element.classList.add("gain");
      const depths = slider({ label: "layers", min: 1, max: data.most, value: this.depth,
        onmove: (depth) => {
          depths.show(depth);
          this.choose({ depth });
        } });
      const named = Object.entries(data.named).map(([name, gain]) => {
        const at = data.gains.indexOf(gain);
        return node("button", { type: "button", onclick: () => this.choose({ gain: at }) },
          this.gainWords(at));
      });
      const norm = node("input", { type: "checkbox", checked: this.normalised,
        onchange: () => this.choose({ normalised: norm.checked }) });
      const again = node("button", { type: "button", onclick: () => {
        const seed = (this.seed + 1) % 2 ** 32;
        this.drawn = propagation.draw({ ...data, seed });
        this.choose({ seed });
      } }, "New weights");
      return node("div", {},
        node("div", { class: "controls ways" }, ways.element, activations.element),
        node("div", { class: "controls" }, this.gains.element,
          node("span", { class: "named" }, ...named)),
        node("div", { class: "controls" }, depths.element,
          node("label", { class: "choice" }, norm, "batch normalisation"), again),
        node("p", { class: "what" }, "Weights have the standard deviation gain / \u221an, where " +
          `n = ${data.width} is the number of inputs of a unit. The batch has ` +
          `${count(data.inputs, "input")}.`));
    }

    gainWords(n) {
      const gain = this.data.gains[n];
      const name = Object.entries(this.data.named).find(([, value]) => value === gain);
      const text = String(Number(gain.toPrecision(3)));
      return name ? `${text} (${name[0]})` : text;
    }

    choose(change) {
      Object.assign(this, change);
      this.draw();
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(this.words.textContent), QUIET);
    }

    setting() {
      const { activation, data, depth, gain, normalised } = this;
      return { activation, depth, gain: data.gains[gain], normalised };
    }

    draw() {
      const { backward, data: { width }, drawn } = this;
      const setting = this.setting();
      this.made = propagation.forward(drawn, setting);
      const values = backward ? propagation.backward(drawn, setting, this.made) : this.made.h;
      const squares = values.map(propagation.meanSquare);
      const { signal, gradient } = propagation.expected(setting);
      const [all, start] = backward ? [gradient, squares[this.depth]] : [signal, squares[0]];
      Object.assign(this, { squares, expected: all.map((value) => value * start) });
      this.differences = backward ? null : values.map((numbers) =>
        propagation.difference(numbers, width));
      this.gains.show(this.gain);
      this.words.textContent = this.summary();
      this.drawChart();
      this.histograms.replaceChildren(...this.someLayers().map((l) =>
        this.histogram(l, values[l])));
    }

    /** Points of a line over the layers, on the logarithmic axis. */
    points(values, least = () => 0) {
      return values.map((value, l) => [l, value > least(l) ? Math.log10(value) : null]);
    }

    drawChart() {
      const { backward, chart, depth, differences, expected, squares } = this;
      const what = backward ? "gradient" : "signal";
      const lines = [[what, what, this.points(squares)],
        ["expected", "theory, for layers of endless width", this.points(expected)]];
      if (differences) {
        lines.push(["difference", "what of it differs from input to input",
          this.points(differences, (l) => ROUNDING * squares[l])]);
      }
      const logs = lines.flatMap(([, , points]) => points.map(([, y]) => y)).filter((y) => y);
      const end = (log) => ENDS.find((n) => n >= log) || ENDS.at(-1);
      const y = [-end(-Math.min(...logs, 0)), end(Math.max(...logs, 0))];
      const step = [1, 2, 5, 10].find((n) => depth / n <= 10);
      const xTicks = [];
      for (let l = 0; l <= depth; l += step) xTicks.push([l, String(l)]);
      const room = 0.02 * (y[1] - y[0]);
      chart.scale({ x: [0, depth], y: [y[0] - room, y[1] + room], xTicks,
        yTicks: decades(...y) });
      chart.draw(this.words.textContent, ...lines.map(([name, , points]) =>
        shape("path", { class: name, d: chart.line(points) })));
      this.keys.replaceChildren(...lines.map(([name, text]) =>
        node("span", { class: `key ${name}` }, text)));
    }

    /** The layers whose numbers are shown: the first, the last, and two between. */
    someLayers() {
      const { depth } = this;
      const wanted = [1, Math.round(depth / 5), Math.round(depth / 2), depth];
      return [...new Set(wanted.map((l) => Math.max(l, 1)))];
    }

    histogram(l, values) {
      const { activation, backward, squares } = this;
      const shown = values.filter((value) => value !== 0);
      const most = 4 * Math.sqrt(squares[l]) || 1;
      const range = backward ? [-most, most]
        : { ReLU: [0, most], tanh: [-1, 1], sigmoid: [0, 1] }[activation] || [-most, most];
      const bars = new Array(BARS).fill(0);
      for (const value of shown) {
        const at = Math.floor(BARS * (value - range[0]) / (range[1] - range[0]));
        bars[Math.min(Math.max(at, 0), BARS - 1)] += 1;
      }
      const highest = Math.max(...bars, 1);
      const d = bars.map((n, at) => (n ? `M${at} 100v${-95 * n / highest}h1v${95 * n / highest}z`
        : "")).join("");
      const ends = range.map((end) => node("span", {}, scientific(end)));
      const said = `mean square ${scientific(squares[l])}`;
      const drawing = shape("svg", { viewBox: `0 0 ${BARS} 100`, preserveAspectRatio: "none",
        role: "img", "aria-label": `Numbers of layer ${l}, from ${scientific(range[0])} to ` +
          `${scientific(range[1])}: ${said}` },
      shape("path", { class: backward ? "gradient" : "signal", d }));
      return node("div", { class: "histogram" }, node("b", {}, `layer ${l}`), drawing,
        node("span", { class: "ends", "aria-hidden": "true" }, ...ends),
        node("span", {}, said), node("span", {}, this.shares(l, values)));
    }

    /** How many units of a layer are at rest, in words. */
    shares(l, values) {
      const { activation, backward, made } = this;
      const h = made.h[l];
      if (activation === "none") return "";
      const { slope } = ACTIVATIONS[activation];
      if (slope !== undefined) {
        const closed = percent(share(made.z[l], (z) => z <= 0));
        if (slope) return `${closed} below 0`;
        return backward ? `${closed} of the gates closed` : `${closed} are 0`;
      }
      const least = activation === "tanh" ? -1 : 0;
      const room = SATURATED * (1 - least);
      return `${percent(share(h, (value) => value < least + room || value > 1 - room))} saturated`;
    }

    summary() {
      const { backward, depth, differences, expected, squares } = this;
      const from = backward ? depth : 0;
      const to = depth - from;
      const left = squares[to] / squares[from];
      const theory = expected[to] / expected[from];
      const layers = count(depth, "layer");
      const what = backward ? "gradient" : "signal";
      const told = backward
        ? `Back through ${layers}, at the input: ${scientific(left)} times the ` +
          "gradient\u2019s mean square at the last layer"
        : `After ${layers}: ${scientific(left)} times the input\u2019s mean square`;
      return [`${told}; theory expects ${scientific(theory)}.`,
        this.verdict(what, left),
        differences ? this.memory(differences[depth] / squares[depth]) : "",
        this.precision(Math.sqrt(squares[to]))].filter(Boolean).join(" ");
    }

    verdict(what, left) {
      if (left < 1e-4) return `The ${what} vanishes.`;
      if (left > 1e4) return `The ${what} explodes.`;
      if (left < 0.01) return `The ${what} shrinks.`;
      return left > 100 ? `The ${what} grows.` : `The ${what} keeps about its size.`;
    }

    /** What is left of the differences between the inputs. */
    memory(part) {
      if (part < ROUNDING) {
        return "But the outputs are the same whatever the input: what it said is lost.";
      }
      return part < 0.5 ? `Of it ${percent(part)} differs from input to input; the rest is the ` +
        "same for all." : "";
    }

    /** Whether a number format still holds numbers of this size. */
    precision(size) {
      const kinds = [["Single", SINGLE], ["Half", HALF]];
      for (const [name, [least, most]] of kinds) {
        if (size < least) return `${name} precision would round such numbers to 0.`;
        if (size > most) return `${name} precision could not hold such numbers.`;
      }
      return "";
    }
  };
});
