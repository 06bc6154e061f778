/* <course-sweep>: one sweep, forward or reverse, as a table that fills row by row.
 *
 * Choose the seed: an input, whose tangents go forward with the values; or an output, whose
 * adjoints come back when all values stand. Buttons, a slider or the arrow keys step.
 */
"use strict";

courseFigures.define("course-sweep", ({ count, factor, Figure, node, number, slider }) => {
  const four = (value) => number(value, 4);

  return class extends Figure {
    label = "A sweep, row by row";
    sheets = ["sweep"];

    build({ nodes, outputs }) {
      Object.assign(this, { nodes, outputs, step: 0 });
      this.rows = nodes.map((_, i) => i).filter((i) => nodes[i].kind !== "constant");
      this.inputs = this.rows.filter((i) => nodes[i].kind === "input");
      this.seeds = [
        ...this.inputs.map((seed) => ({ mode: "forward", seed })),
        ...outputs.map((seed) => ({ mode: "reverse", seed })),
      ];
      const options = this.seeds.map(({ mode, seed }, value) =>
        node("option", { value }, `${mode}, from ${this.nodes[seed].symbol}`));
      this.select = node("select", { id: "seed", onchange: () => this.seed() }, ...options);
      const button = (text, by) => node("button", { type: "button",
        onclick: () => this.go(this.step + by) }, text);
      [this.back, this.next] = [button("Previous", -1), button("Next", 1)];
      this.slider = slider({ label: "step", min: 0, max: 1, value: 0,
        onmove: (step) => this.go(step), words: (step) => `${step} of ${this.steps}` });
      this.head = node("th", { scope: "col" });
      this.cells = this.rows.map(() => [node("td"), node("td")]);
      const body = this.rows.map((i, row) => node("tr", {},
        node("th", { scope: "row" }, this.named(i)), ...this.cells[row]));
      this.explanation = node("p", { class: "explanation" });
      const [n, m] = [this.inputs.length, outputs.length];
      this.stage.append(
        node("div", { class: "controls" }, node("label", { for: "seed" }, "seed"), this.select),
        node("div", { class: "controls", onkeydown: (event) => this.key(event) },
          this.back, this.next, this.slider.element),
        node("table", {}, node("tr", {}, node("th", { scope: "col" }, "node"),
          node("th", { scope: "col" }, "value"), this.head), ...body),
        this.explanation,
        node("p", {}, `The whole Jacobian, ${m} by ${n}: forward takes ${count(n, "sweep")}, ` +
          `one for each input; reverse takes ${count(m, "sweep")}, one for each output.`));
      this.seed(false);
    }

    named(i) {
      const { symbol, formula } = this.nodes[i];
      return formula ? `${symbol} = ${formula}` : symbol;
    }

    /** Start a sweep from the chosen seed. */
    seed(spoken = true) {
      this.mode = this.seeds[this.select.value].mode;
      this.steps = this.rows.length * (this.mode === "forward" ? 1 : 2);
      this.slider.input.max = this.steps;
      this.compute(this.mode, this.chosen = this.seeds[this.select.value].seed);
      const { symbol } = this.nodes[this.chosen];
      this.head.textContent = this.mode === "forward"
        ? `tangent, d/d${symbol}` : `adjoint, d${symbol}/d`;
      this.draw(0);
      if (spoken) this.say(this.words);
    }

    /** For each node its derivative, and the terms of which it is the sum. */
    compute(mode, seed) {
      const terms = this.nodes.map(() => []);
      const found = this.nodes.map((_, i) => Number(i === seed));
      const meet = (i, take) => this.nodes[i].partials.forEach((partial, k) => {
        if (partial !== null) take(this.nodes[i].operands[k], partial);
      });
      const order = this.nodes.map((_, i) => i);
      if (mode === "forward") {
        for (const i of order) {
          meet(i, (j, partial) => {
            found[i] += found[j] * partial;
            terms[i].push([found[j], partial]);
          });
        }
      } else {
        for (const i of order.reverse()) {
          meet(i, (j, partial) => {
            found[j] += found[i] * partial;
            terms[j].unshift([found[i], partial]);
          });
        }
      }
      Object.assign(this, { terms, found });
    }

    go(step) {
      this.draw(Math.min(Math.max(step, 0), this.steps));
      this.say(`Step ${this.step} of ${this.steps}. ${this.words}`);
    }

    draw(step) {
      this.step = step;
      const all = this.rows.length;
      const forward = this.mode === "forward";
      const last = forward || step <= all ? step - 1 : 2 * all - step;
      this.rows.forEach((i, row) => {
        const [value, derivative] = this.cells[row];
        const known = forward ? row < step : row >= 2 * all - step;
        value.textContent = row < step ? four(this.nodes[i].value) : "";
        derivative.textContent = known ? four(this.found[i]) : "";
        derivative.parentElement.classList.toggle("current", row === last);
      });
      this.words = this.sentence(step, this.rows[last]);
      this.explanation.textContent = this.words;
      this.slider.show(step);
      this.back.setAttribute("aria-disabled", step === 0);
      this.next.setAttribute("aria-disabled", step === this.steps);
    }

    sentence(step, i) {
      const from = this.nodes[this.chosen].symbol;
      if (!step) return `Nothing is computed yet. The seed is 1 at ${from}.`;
      const name = this.nodes[i].symbol;
      const value = `${name} is ${four(this.nodes[i].value)}`;
      if (this.mode === "reverse" && step <= this.rows.length) return `The value ${value}.`;
      const kind = this.mode === "forward" ? "tangent" : "adjoint";
      const products = this.terms[i].map(([a, b]) => `${factor(a, 4)} \u00b7 ${factor(b, 4)}`);
      if (i === this.chosen) products.unshift("1, the seed");
      const sum = products.length ? `${products.join(" + ")} = ` : "";
      return `${this.mode === "forward" ? `${value}; its` : `${name}: the`} ${kind} is ` +
        `${sum}${four(this.found[i])}.`;
    }

    /** The arrow keys do on the buttons what they do on the slider. */
    key(event) {
      const { step, steps } = this;
      const target = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: steps }[event.key];
      if (target === undefined || event.target === this.slider.input) return;
      event.preventDefault();
      this.go(target);
    }
  };
});
