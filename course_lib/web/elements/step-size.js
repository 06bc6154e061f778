/* <course-step-size>: how far a difference quotient is from the derivative, over its step.
 *
 * A slider, or a press on the right chart, sets the step. On the left the chord of the chosen
 * quotient lies beside the tangent; on the right the errors of both quotients form a U, between
 * the two lines that truncation and rounding would give alone.
 */
"use strict";

courseFigures.define("course-step-size", ({ Figure, node, shape, slider }) => {
  const KINDS = {
    "one-sided": { quotient: "(f(x+h) \u2212 f(x)) / h", truncation: "h |f\u2033| / 2",
      rounding: "2\u03b5 |f| / h" },
    central: { quotient: "(f(x+h) \u2212 f(x\u2212h)) / 2h", truncation: "h\u00b2 |f\u2034| / 6",
      rounding: "\u03b5 |f| / h" },
  };
  const SIZE = { width: 340, height: 270, left: 46, right: 10, top: 24, bottom: 40 };
  const ABOUT_EQUAL = 4;  // a factor between both errors that leaves open which one rules
  const signed = (text) => text.replace("-", "\u2212");
  const short = (value) => signed(String(Number(value.toPrecision(3))));
  const small = (value) => (value === 0 || value >= 0.01 ? String(Number(value.toPrecision(2)))
    : value.toExponential(1));
  const law = ([factor, power], h) => factor * h ** power;

  /** A frame with axes; `inside` clips what is drawn in it, `at` turns numbers into its pixels. */
  class Chart {
    constructor({ name, x, y, xTicks, yTicks, xLabel, yLabel, tick }) {
      const { width, height, left, right, top, bottom } = SIZE;
      const [w, h] = [width - left - right, height - top - bottom];
      Object.assign(this, { w, h });
      this.at = (px, py) => [w * (px - x[0]) / (x[1] - x[0]), h * (y[1] - py) / (y[1] - y[0])];
      this.back = ([px]) => x[0] + (px - left) / w * (x[1] - x[0]);
      this.inside = shape("svg", { x: left, y: top, width: w, height: h });
      const text = (words, at, more = {}) => shape("text", { x: at[0], y: at[1], ...more }, words);
      const marks = [
        ...xTicks.map((value) => {
          const px = left + this.at(value, 0)[0];
          return [shape("path", { d: `M${px} ${top}v${h + 4}`, class: "grid" }),
            text(tick(value), [px, top + h + 17])];
        }),
        ...yTicks.map((value) => {
          const py = top + this.at(0, value)[1];
          return [shape("path", { d: `M${left - 4} ${py}h${w + 4}`, class: "grid" }),
            text(tick(value), [left - 7, py + 4], { "text-anchor": "end" })];
        }),
      ].flat();
      this.element = shape("svg", { role: "img", "aria-label": name, class: "chart",
        viewBox: `0 0 ${width} ${height}` }, ...marks,
      text(xLabel, [left + w / 2, height - 5], { class: "axis" }),
      text(yLabel, [left, top - 8], { class: "axis", "text-anchor": "start" }),
      this.inside,
      shape("rect", { x: left, y: top, width: w, height: h, class: "frame" }));
    }

    line(points) {
      return `M${points.map(([x, y]) => this.at(x, y).map((n) => n.toFixed(2))).join("L")}`;
    }

    put(...drawn) {
      this.inside.append(...drawn);
    }
  }

  return class extends Figure {
    label = "Error of a difference quotient over its step";
    sheets = ["step-size"];

    build(data) {
      Object.assign(this, { data, kind: "one-sided" });
      this.errors = Object.fromEntries(Object.keys(KINDS).map((kind) =>
        [kind, data.quotients[kind].map((quotient) => Math.abs(quotient - data.slope))]));
      this.slider = slider({ label: "step h", min: 0, max: data.steps.length - 1, value: 0,
        onmove: (n) => this.go(n), words: (n) => small(data.steps[n]) });
      this.explanation = node("p", { class: "explanation" });
      this.stage.append(this.choices(),
        node("div", { class: "controls" }, this.slider.element),
        node("div", { class: "charts" }, this.drawFunction(), this.drawErrors()),
        node("div", { class: "readout" }, this.table(), this.explanation));
      this.draw(data.steps.length - 1);
    }

    choices() {
      const options = Object.entries(KINDS).map(([kind, { quotient }]) => {
        const choose = () => {
          this.kind = kind;
          this.go(this.n);
        };
        return node("label", { class: "choice" }, node("input", { type: "radio", name: "kind",
          checked: kind === this.kind, onchange: choose }), `${kind}, ${quotient}`);
      });
      return node("fieldset", {}, node("legend", {}, "difference quotient"), ...options);
    }

    /** The function with its tangent, the chord of the quotient, and the points it goes through. */
    drawFunction() {
      const { curve, x, label } = this.data;
      const heights = curve.map(([, y]) => y);
      const [low, high] = [Math.min(...heights), Math.max(...heights)];
      const room = 0.12 * (high - low) || 1;
      const range = [low - room, high + room];
      this.plane = new Chart({ name: `${label} near x = ${x}, with tangent and chord`,
        x: [x - 1.08, x + 1.08], y: range, xTicks: [x - 1, x, x + 1], yTicks: [low, high],
        xLabel: "x", yLabel: label, tick: short });
      this.chord = shape("path", { class: "chord" });
      this.points = [shape("circle", { r: 4.5 }), shape("circle", { r: 4.5 })];
      const names = [["tangent", "tangent"], ["chord", "quotient"], ["function", "function"]];
      this.plane.put(shape("path", { class: "function", d: this.plane.line(curve) }),
        this.straight("tangent", this.data.slope, [x, this.data.value]), this.chord,
        ...this.points);
      const key = names.map(([name, words]) => node("span", { class: `key ${name}` }, words));
      return node("div", {}, this.plane.element, node("p", { class: "keys" }, ...key));
    }

    straight(name, slope, [x, y]) {
      const ends = [-1.1, 1.1].map((dx) => [this.data.x + dx, y + slope * (this.data.x + dx - x)]);
      return shape("path", { class: name, d: this.plane.line(ends) });
    }

    /** Both errors over the step, on logarithmic axes. */
    drawErrors() {
      const { steps } = this.data;
      const all = Object.values(this.errors).flat().filter((error) => error > 0);
      this.floor = Math.min(-16, Math.floor(Math.log10(Math.min(...all, 1))));
      const top = Math.max(1, Math.ceil(Math.log10(Math.max(...all, 1))));
      const logs = steps.map(Math.log10);
      const decades = (from, to) => {
        const ticks = [];
        for (let tick = 4 * Math.ceil(from / 4); tick <= to; tick += 4) ticks.push(tick);
        return ticks;
      };
      this.u = new Chart({ name: "Error over the step, logarithmic",
        x: [logs[0] - 0.3, 0.3], y: [this.floor, top], xTicks: decades(logs[0], 0),
        yTicks: decades(this.floor, top), xLabel: "step h", yLabel: "error",
        tick: (value) => (value ? `1e${value}` : "1") });
      this.laws = shape("g");
      this.now = shape("path", { class: "now" });
      this.curves = {};
      this.spots = {};
      for (const kind of Object.keys(KINDS)) {
        const points = steps.map((_, n) => this.spot(kind, n));
        this.curves[kind] = shape("path", { class: "errors", d: this.u.line(points) });
        this.spots[kind] = shape("circle", { r: 5 });
      }
      this.u.put(this.laws, this.now, ...Object.values(this.curves), ...Object.values(this.spots));
      this.u.element.addEventListener("pointerdown", (event) => this.press(event));
      this.u.element.addEventListener("pointermove", (event) => event.buttons && this.press(event));
      this.u.element.classList.add("pressed");
      const key = Object.keys(KINDS).map((kind) => {
        const name = node("span", { class: "key errors" }, kind);
        this.curves[kind].key = name;
        return name;
      });
      return node("div", {}, this.u.element, node("p", { class: "keys" }, ...key));
    }

    /** Where an error stands in the chart; an error of 0 stands on its lower edge. */
    spot(kind, n) {
      const error = this.errors[kind][n];
      const height = error > 0 ? Math.max(Math.log10(error), this.floor) : this.floor;
      return [Math.log10(this.data.steps[n]), height];
    }

    /** The two lines of the chosen quotient, each with its name along it. */
    drawLaws() {
      const { truncation, rounding, steps } = this.data;
      const [first, last] = [steps[0], 1].map(Math.log10);
      const laws = { truncation: truncation[this.kind], rounding: rounding[this.kind] };
      const height = (name, log) => Math.log10(laws[name][0]) + laws[name][1] * log;
      const meet = (height("rounding", 0) - height("truncation", 0)) / (laws.truncation[1] + 1);
      const bottom = Number.isFinite(meet) ? Math.min(Math.max(meet, first), last) : -8;
      const middle = { truncation: (bottom + last) / 2, rounding: (first + bottom) / 2 };
      const drawn = Object.keys(laws).filter((name) => laws[name][0] > 0).map((name) => {
        const ends = [first, last].map((log) => [log, height(name, log)]);
        const [[ax, ay], [bx, by]] = ends.map(([x, y]) => this.u.at(x, y));
        const [x, y] = this.u.at(middle[name], height(name, middle[name]));
        const angle = Math.atan2(by - ay, bx - ax) * 180 / Math.PI;
        const below = name === "truncation" && this.kind === "central";  // above is the other U
        return shape("g", { class: "law" }, shape("path", { d: this.u.line(ends) }),
          shape("text", { transform: `translate(${x} ${y}) rotate(${angle})`, y: below ? 16 : -7 },
            `${name} ${KINDS[this.kind][name]}`));
      });
      this.laws.replaceChildren(...drawn);
    }

    /** A press on the chart takes the nearest step. */
    press(event) {
      const { left, width } = this.u.element.getBoundingClientRect();
      const log = this.u.back([(event.clientX - left) * SIZE.width / width]);
      const last = this.data.steps.length - 1;
      this.go(Math.min(Math.max(Math.round(last + log / Math.log10(2)), 0), last));
    }

    table() {
      this.cells = {};
      const row = (name, kind) => {
        this.cells[name] = [node("td", { class: kind }), node("td")];
        return node("tr", {}, node("th", { scope: "row" }, name), ...this.cells[name]);
      };
      const heads = ["", "value", "error"].map((head) =>
        (head ? node("th", { scope: "col" }, head) : node("td")));
      return node("table", {}, node("tr", {}, ...heads), ...Object.keys(KINDS).map((kind) =>
        row(kind, "quotient")), row("derivative", "derivative"));
    }

    go(n) {
      this.draw(n);
      const said = Object.keys(KINDS).map((kind) => `${kind} ` +
        `${this.cells[kind][0].textContent}, error ${this.cells[kind][1].textContent}`);
      this.say(`h is ${small(this.data.steps[n])}: ${said.join("; ")}. ${this.words()}`);
    }

    draw(n) {
      this.n = n;
      const { data, kind } = this;
      const { ends: { right, left }, steps, x, value } = data;
      const h = steps[n];
      const start = kind === "central" ? [x - h, left[n]] : [x, value];
      const points = [start, [x + h, right[n]]];
      points.forEach(([px, py], i) => {
        const [cx, cy] = this.plane.at(px, py);
        this.points[i].setAttribute("cx", cx);
        this.points[i].setAttribute("cy", cy);
      });
      const chord = this.straight("chord", data.quotients[kind][n], start);
      this.chord.setAttribute("d", chord.getAttribute("d"));
      for (const [name, curve] of Object.entries(this.curves)) {
        const [cx, cy] = this.u.at(...this.spot(name, n));
        for (const part of [curve, curve.key, this.spots[name]]) {
          part.classList.toggle("chosen", name === kind);
        }
        this.spots[name].setAttribute("cx", cx);
        this.spots[name].setAttribute("cy", cy);
        this.cells[name][0].textContent = signed(data.quotients[name][n].toPrecision(10));
        this.cells[name][1].textContent = small(this.errors[name][n]);
      }
      this.cells.derivative[0].textContent = signed(data.slope.toPrecision(10));
      const [px] = this.u.at(Math.log10(h), 0);
      this.now.setAttribute("d", `M${px} 0v${this.u.h}`);
      this.drawLaws();
      this.explanation.textContent = this.words();
      this.slider.show(n);
    }

    /** Which of both errors rules, and what would help. */
    words() {
      const { data, kind, n } = this;
      const h = data.steps[n];
      if (data.x + h === data.x) return "x + h is x: the step is lost, and with it the slope.";
      const [truncation, rounding] = ["truncation", "rounding"].map((name) =>
        law(data[name][kind], h));
      if (!truncation && !rounding) return "Here f and its bend are 0: neither law says anything.";
      const told = `${kind[0].toUpperCase()}${kind.slice(1)}: truncation makes about ` +
        `${small(truncation)}, rounding up to about ${small(rounding)}.`;
      if (truncation > ABOUT_EQUAL * rounding) return `${told} A smaller step helps.`;
      if (rounding > ABOUT_EQUAL * truncation) return `${told} A larger step helps.`;
      return `${told} Both are about equal: the best step is near.`;
    }
  };
});
