/* <course-unrolled-net>: a recurrent unit over time, forward, and its gradient on the way back.
 *
 * Step with the buttons, the slider or the arrow keys. The recurrent weight and the size of the
 * inputs can be moved; all numbers follow.
 */
"use strict";

courseFigures.define("course-unrolled-net", (course) => {
  const { choices, factor, Figure, node, number, slider } = course;

  const QUIET = 400;  // milliseconds without a change, until it is told
  const DECADES = 2;  // above and below 1, that the bars reach
  const SUMS = {
    w_h: { text: "dw_h", key: "byState" },
    w_x: { text: "dw_x", key: "byInput" },
    b: { text: "db", key: "byBias" },
  };
  const LOSSES = { last: "the last state", every: "the sum of all states" };
  const short = (value) => (value !== 0 && Math.abs(value) < 0.001
    ? value.toExponential(0).replaceAll("-", "\u2212") : number(Number(value.toFixed(3)), 3));

  /** h_t = tanh(w_x x_t + w_h h_(t-1) + b), and back; all lists by step, 0 the first. */
  function unroll(x, { h0, weightX, weightH, bias, loss }) {
    const T = x.length;
    const h = [];
    x.forEach((input, t) => {
      h.push(Math.tanh(weightX * input + weightH * (t ? h[t - 1] : h0) + bias));
    });
    const above = x.map((_, t) => Number(loss === "every" || t === T - 1));
    const slope = h.map((state) => 1 - state ** 2);
    const factors = slope.map((s) => weightH * s);
    const dh = [...above];
    for (let t = T - 1; t > 0; t--) dh[t - 1] += dh[t] * factors[t];
    const byBias = dh.map((gradient, t) => gradient * slope[t]);
    const byInput = byBias.map((da, t) => da * x[t]);
    const byState = byBias.map((da, t) => da * (t ? h[t - 1] : h0));
    return { x, h, above, slope, factors, dh, dh0: dh[0] * factors[0], byBias, byInput, byState };
  }

  course.unrolling = course.unrolling || Object.freeze({ unroll });

  return class extends Figure {
    label = "A recurrent unit, unrolled over time";
    sheets = ["choices", "unrolled-net"];

    build(data) {
      const T = data.x.length;
      Object.assign(this, { data, T, step: T, weightH: data.weight_h, size: 10, loss: data.loss,
        sum: "w_h" });
      const button = (text, by) => node("button", { type: "button",
        onclick: () => this.go(this.step + by) }, text);
      [this.back, this.next] = [button("Previous", -1), button("Next", 1)];
      this.stepSlider = slider({ label: "step", min: 0, max: 2 * T, value: T,
        words: (step) => (step > T ? `back, ${step - T} of ${T}` : `forward, ${step} of ${T}`),
        onmove: (step) => this.go(step) });
      this.weightSlider = slider({ label: "w_h", min: -30, max: 30, value: this.weightH,
        words: (n) => number(n / 10), onmove: (n) => this.take({ weightH: n }) });
      this.sizeSlider = slider({ label: "size of the inputs", min: 0, max: 10, value: 10,
        words: (n) => (n === 10 ? "1" : n ? `0.${n}` : "0"),
        onmove: (n) => this.take({ size: n }) });
      const loss = choices({ legend: "loss", name: "loss", value: this.loss,
        options: Object.entries(LOSSES).map(([value, text]) => ({ value, text })),
        onchoose: (value) => this.take({ loss: value }) });
      const sum = choices({ legend: "gradient of", name: "sum", value: this.sum,
        options: Object.keys(SUMS).map((value) => ({ value, text: value })),
        onchoose: (value) => this.take({ sum: value }) });
      this.board = node("div", { class: "board", style: `--columns: ${T + 1}`,
        "aria-hidden": "true" });
      this.explained = node("p", { class: "explained" });
      this.summed = node("p", { class: "summed" });
      this.product = node("p", { class: "product" });
      this.all = node("div");
      this.stage.append(
        node("p", { class: "question" }, "Set the inputs to 0: at which w_h does the gradient " +
          "neither shrink nor grow on its way back? Then let them in again: can a large w_h " +
          "still make it explode, and why?"),
        node("div", { class: "controls" }, this.weightSlider.element, this.sizeSlider.element),
        node("div", { class: "controls" }, loss.element, sum.element),
        node("div", { class: "controls", onkeydown: (event) => this.key(event) },
          this.back, this.next, this.stepSlider.element),
        this.board, this.explained, this.summed, this.product,
        node("details", {}, node("summary", {}, "All numbers"), this.all));
      this.draw();
    }

    take(change) {
      Object.assign(this, change);
      this.draw();
      this.tellSoon(() => `${this.summed.textContent} ${this.product.textContent}`);
    }

    go(step) {
      this.step = Math.min(Math.max(step, 0), 2 * this.T);
      this.draw();
      this.tellSoon(() => `${this.explained.textContent} ${this.summed.textContent}`);
    }

    tellSoon(words) {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(words()), QUIET);
    }

    draw() {
      const { data, loss, size, step, T } = this;
      this.w = this.weightH / 10;
      const x = data.x.map((input) => input * size / 10);
      this.run = unroll(x, { h0: data.h0, weightX: data.weight_x, weightH: this.w,
        bias: data.bias, loss });
      this.reached = Math.min(step, T);  // states that are known, the first ones
      this.returned = Math.max(2 * T - step, 0);  // states whose gradient is not yet known
      this.stepSlider.show(step);
      this.weightSlider.show(this.weightH);
      this.sizeSlider.show(size);
      this.back.setAttribute("aria-disabled", step === 0);
      this.next.setAttribute("aria-disabled", step === 2 * T);
      this.drawBoard();
      this.explained.textContent = this.sentence();
      this.summed.textContent = this.sumWords();
      this.product.textContent = this.productWords();
      this.drawTable();
    }

    /** The gradient of state n (0 the one before the first step), or null while it is to come. */
    gradient(n) {
      const { returned, run, step, T } = this;
      if (step <= T || n < returned || (n === 0 && returned > 0)) return null;
      if (n > 0 && n <= returned) return null;
      return n ? run.dh[n - 1] : run.dh0;
    }

    drawBoard() {
      const { data, reached, run, step, sum, T } = this;
      const now = step > T ? 2 * T - step + 1 : step;  // the state that this step is about
      const columns = Array.from({ length: T + 1 }, (_, n) => n);
      const row = (name, title, cells) => [node("p", { class: `title ${name}` }, title),
        node("div", { class: `row ${name}` }, ...cells)];
      const cell = (value, states = "", name = "") => node("span", { class: `cell ${states}` },
        node("span", { class: "name" }, name),
        node("span", { class: "value" }, value === null ? "" : short(value)));
      const known = columns.map((n) => this.gradient(n));
      const arrow = (n) => known[n] !== null && n < T ? "from-right" : "";
      const bars = columns.map((n) => {
        const size = known[n] === null ? 0 : Math.abs(known[n]);
        const level = size ? Math.log10(size) / DECADES : -1;
        const end = 50 * Math.max(Math.min(level, 1), -1);
        return node("span", { class: "slot" }, known[n] === null ? "" : node("span",
          { class: "bar", style: `bottom: ${50 + Math.min(end, 0)}%; ` +
            `height: max(3px, ${Math.abs(end)}%)` }));
      });
      const ticks = [1, 0, -1].map((decade) => node("span", { class: "tick",
        style: `bottom: ${50 + 50 * decade / DECADES}%` }, String(10 ** decade)));
      const terms = run[SUMS[sum].key];
      this.board.replaceChildren(
        ...row("loss", lossTitle(this.loss, T), columns.map((n) => {
          const there = n > 0 && step > T && run.above[n - 1];
          return node("span", { class: `cell ${there ? "down" : ""}` }, there ? "1" : "");
        })),
        ...row("gradient", "dL/dh, the gradient of each state", columns.map((n) =>
          cell(known[n], `${arrow(n)} ${step > T && n === now ? "now" : ""}`))),
        ...row("factor", "", columns.slice(1).map((n) => node("span", { class: "between" },
          known[n - 1] !== null ? `\u00b7 ${short(run.factors[n - 1])}` : ""))),
        ...row("state", "h, the states", columns.map((n) => cell(
          n === 0 ? data.h0 : n <= reached ? run.h[n - 1] : null,
          `${n ? "from-left" : ""} ${step <= T && n === now && n ? "now" : ""}`, `h${sub(n)}`))),
        ...row("input", "x, the inputs", columns.map((n) => (n
          ? cell(run.x[n - 1], "up", `x${sub(n)}`) : node("span", { class: "cell none" })))),
        ...row("term", `what each step adds to ${SUMS[sum].text}`, columns.map((n) => (n
          ? cell(known[n] === null ? null : terms[n - 1], step > T && n === now ? "now" : "")
          : node("span", { class: "cell none" })))),
        ...row("bars", "the size of dL/dh, from 0.01 to 100, by powers of ten",
          [...bars, ...ticks]));
    }

    sentence() {
      const { data, run, step, T, w } = this;
      if (!step) return "Nothing is computed yet but the state before the first step, h\u2080.";
      const state = (n) => (n ? run.h[n - 1] : data.h0);
      if (step <= T) {
        const n = step;
        const bias = data.bias ? ` + ${factor(data.bias)}` : "";
        return `h${sub(n)} = tanh(w_x x${sub(n)} + w_h h${sub(n - 1)}${data.bias ? " + b" : ""}) ` +
          `= tanh(${factor(data.weight_x)} \u00b7 ${factor(run.x[n - 1])} + ${factor(w)} \u00b7 ` +
          `${bracket(state(n - 1))}${bias}) = ${short(state(n))}.`;
      }
      const n = 2 * T - step + 1;
      const t = n - 1;
      const own = run.above[t] ? "1 from the loss" : "";
      const later = n < T ? `${bracket(run.dh[n])} \u00b7 ${bracket(run.factors[n])} from step ` +
        `${n + 1}` : "";
      const parts = [own, later].filter(Boolean).join(" + ");
      const first = n === 1 ? ` And dL/dh\u2080 = ${bracket(run.dh[0])} \u00b7 ` +
        `${bracket(run.factors[0])} = ${short(run.dh0)}.` : "";
      const total = later ? [parts, short(run.dh[t])].join(" = ") : parts;
      return `dL/dh${sub(n)} = ${total}. The slope of tanh ` +
        `there is 1 \u2212 h${sub(n)}\u00b2 = ${short(run.slope[t])}; what it hands back is ` +
        `multiplied by w_h times that, ${short(run.factors[t])}.${first}`;
    }

    sumWords() {
      const { returned, run, step, sum, T } = this;
      const { key, text } = SUMS[sum];
      if (step <= T) return `${text}: its terms come on the way back, one from each step.`;
      const terms = run[key].slice(returned).reverse();
      const total = terms.reduce((a, b) => a + b, 0);
      const words = terms.length > 1 ? `${terms.map(bracket).join(" + ")} = ` : "";
      const left = returned ? `, so far, from step${returned === T - 1 ? "" : "s"} ${T}${
        returned === T - 1 ? "" : ` to ${returned + 1}`}` : "";
      return `${text} = ${words}${short(total)}${left}.`;
    }

    productWords() {
      const { run, T, w } = this;
      const factors = run.factors.slice(1);
      const product = factors.reduce((a, b) => a * b, 1);
      const each = Math.abs(product) ** (1 / (T - 1));
      return `From the last state to the first: dh${sub(T)}/dh\u2081 = ` +
        `${[...factors].reverse().map(bracket).join(" \u00b7 ")}${
          factors.length > 1 ? ` = ${short(product)}` : ""}` +
        `, ${short(each)} a step on average; w_h alone would be ${short(w)}.`;
    }

    drawTable() {
      const { data, reached, run, sum, T } = this;
      const heads = ["step", "x", "h", "1 \u2212 h\u00b2", "dL/dh", `term of ${SUMS[sum].text}`];
      const rows = run.x.map((x, t) => {
        const gradient = this.gradient(t + 1);
        const there = t < reached;
        const cells = [x, there && run.h[t], there && run.slope[t], gradient ?? false,
          gradient !== null && run[SUMS[sum].key][t]];
        return node("tr", {}, node("th", { scope: "row" }, String(t + 1)),
          ...cells.map((value) => node("td", {}, value === false ? "" : short(value))));
      });
      this.all.replaceChildren(node("table", {}, node("caption", {}, `${T} steps, h\u2080 = ` +
        `${number(data.h0)}, w_x = ${number(data.weight_x)}, b = ${number(data.bias)}`),
      node("tr", {}, ...heads.map((text) => node("th", { scope: "col" }, text))), ...rows));
    }

    /** The arrow keys do on the buttons what they do on the slider. */
    key(event) {
      const { step, T } = this;
      const target = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: 2 * T }[event.key];
      if (target === undefined || event.target === this.stepSlider.input) return;
      event.preventDefault();
      this.go(target);
    }
  };

  /** A number as an index below the line. */
  function sub(n) {
    return String.fromCharCode(0x2080 + n);
  }

  function bracket(value) {
    return value < 0 ? `(${short(value)})` : short(value);
  }

  function lossTitle(loss, T) {
    return `L = ${loss === "last" ? `h${sub(T)}` : `h${sub(1)} + \u2026 + h${sub(T)}`}` +
      "; what each state gets from it at once";
  }
});
