/* <course-backward-stepper>: the backward pass of a convolution, step by step, in two views.
 *
 * Output by output: each takes its dy and adds dy k to its window of dx, and dy times its window
 * of x to dweight. Pixel by pixel: the kernel turns by 180 degrees and slides over dy; each place
 * gives one number of dx. Buttons, a slider, or the left and right arrow keys step; Play walks.
 */
"use strict";

courseFigures.define("course-backward-stepper", (course) => {
  const { factor, Figure, Grid, node, number, slider } = course;
  const convolution = course.convolution;

  const SECONDS_PER_STEP = 1.2;
  const same = (p, q) => p[0] === q[0] && p[1] === q[1];
  const at = (name, [r, c]) => `${name}[${r}, ${c}]`;
  const numbers = (terms) => terms.map(({ dy, k }) => `${number(dy)} times ${number(k)}`).join(" plus ");

  /** Output by output: `dx` and `dweight` grow with every step. */
  class Scatter {
    title = "output by output";

    constructor({ x, weight, dy, geometry }) {
      Object.assign(this, { x, k: weight, dy, geometry });
      this.y = convolution.forward(x, weight, geometry);
      this.meetings = convolution.meetings(x, weight, geometry);
      this.steps = dy.length * dy[0].length;
      this.grids = {
        x: new Grid({ name: "x", what: "input", role: "input" }),
        dx: new Grid({ name: "dx", what: "its gradient", role: "gradient" }),
        k: new Grid({ name: "k", what: "weight", role: "weight" }),
        dweight: new Grid({ name: "dweight", what: "its gradient", role: "gradient" }),
        y: new Grid({ name: "y", what: "output", role: "prediction" }),
        dy: new Grid({ name: "dy", what: "its gradient", role: "gradient" }),
      };
      for (const [name, grid] of Object.entries(this.grids)) {
        const like = { x, dx: x, k: weight, dweight: weight, y: dy, dy }[name];
        grid.resize([like.length, like[0].length], like === x ? geometry.padding : 0);
      }
    }

    draw(step) {
      const { x, k, y, dy } = this;
      const output = step ? [Math.floor((step - 1) / dy[0].length), (step - 1) % dy[0].length] : null;
      const values = { x, k, y, dy, ...convolution.backward(x, k, dy, this.geometry, step) };
      const now = output ? this.meetings.filter((met) => same(met.output, output)) : [];
      for (const [name, grid] of Object.entries(this.grids)) {
        grid.paint((position, inside) => this.look(name, position, inside, values, output, now));
      }
      return output ? this.handedBack(output, now, values) : {
        head: ["At the start dx and dweight are all zero."],
        words: "At the start dx and dweight are all zero.",
      };
    }

    look(name, position, inside, values, output, now) {
      const outside = name === "x" ? 0 : "";
      const shown = { value: inside ? values[name][position[0]][position[1]] : outside, states: [] };
      if (name === "y" || name === "dy") {
        if (output && same(output, position)) shown.states.push("picked");
        return shown;
      }
      const met = now.find((one) => same(name === "x" || name === "dx" ? one.pixel : one.weight, position));
      if (!met) return shown;
      shown.states.push("touched");
      const dy = this.dy[output[0]][output[1]];
      const added = { dx: dy * met.k, dweight: dy * met.x }[name];
      if (added !== undefined && inside) shown.note = added < 0 ? number(added) : `+${number(added)}`;
      return shown;
    }

    /** What one output adds, as the two lines of code that do it. */
    handedBack([i, j], now, values) {
      const dy = this.dy[i][j];
      const { stride, padding } = this.geometry;
      const slice = (n, size) => `${n * stride}:${n * stride + size}`;
      const window = `[${slice(i, this.k.length)}, ${slice(j, this.k[0].length)}]`;
      const padded = padding ? "_pad" : "";
      const where = at("dy", [i, j]);
      const total = (name) => JSON.stringify(values[name]).replaceAll("-", "\u2212").replaceAll(",", ", ");
      return {
        head: [
          `${where} = ${number(dy)} goes back to the window that ${at("y", [i, j])} was computed from, `,
          `and to the weights that computed it:`,
        ],
        code: `dx${padded}${window} += ${dy} * k\ndweight += ${dy} * x${padded}${window}`,
        words: `${where} is ${number(dy)}. It adds ${number(dy)} times k to the window ${window} of dx, ` +
          `and ${number(dy)} times that window of x to dweight. ` +
          `Now dx is ${total("dx")} and dweight is ${total("dweight")}.`,
      };
    }
  }

  /** Pixel by pixel: the turned kernel slides over dy. */
  class Correlation {
    title = "as one correlation with the flipped kernel";
    overlay = node("div", { class: "window" });

    constructor({ x, weight, dy, geometry }) {
      Object.assign(this, { x, k: weight, dy, geometry });
      this.turned = convolution.turned(weight);
      this.spread = convolution.spread(x, weight, dy, geometry);
      this.origin = convolution.spread(x, weight, dy.map((row, i) => row.map((_, j) => [i, j])), geometry);
      this.dx = convolution.backward(x, weight, dy, geometry).dx;
      this.steps = 1 + x.length * x[0].length;
      this.grids = {
        k: new Grid({ name: "k", what: "weight", role: "weight", bare: true }),
        dy: new Grid({ name: "dy", what: "with zeros around it", role: "gradient", bare: true }),
        dx: new Grid({ name: "dx", what: "gradient of the input", role: "gradient" }),
      };
      const like = { k: weight, dy: this.spread, dx: x };
      for (const [name, grid] of Object.entries(this.grids)) grid.resize([like[name].length, like[name][0].length]);
      this.grids.dy.board.append(this.overlay);
      this.overlay.style.setProperty("--kh", weight.length);
      this.overlay.style.setProperty("--kw", weight[0].length);
    }

    draw(step) {
      const { dx, spread } = this;
      const kernel = step ? this.turned : this.k;
      const W = dx[0].length;
      const pixel = step > 1 ? [Math.floor((step - 2) / W), (step - 2) % W] : null;
      const terms = pixel ? convolution.correlationTerms(spread, kernel, pixel) : [];
      this.turn(Boolean(step));
      this.grids.k.paint(([a, b]) => ({ value: kernel[a][b], tag: String(this.index([a, b], step)) }));
      this.grids.dy.paint((position) => {
        const term = terms.find((one) => same(one.pixel, position));
        return {
          value: spread[position[0]][position[1]],
          states: [term && "touched", !this.origin[position[0]][position[1]] && "filler"].filter(Boolean),
          note: term ? `\u00d7${number(term.k)}` : "",
        };
      });
      this.grids.dx.paint(([r, c]) => {
        const done = r * W + c < step - 1;
        return { value: done ? dx[r][c] : "", states: pixel && same(pixel, [r, c]) ? ["picked"] : [] };
      });
      this.overlay.hidden = !pixel;
      if (pixel) {
        this.overlay.style.setProperty("--r", pixel[0]);
        this.overlay.style.setProperty("--c", pixel[1]);
      }
      return pixel ? this.gathered(pixel, terms) : this.prepared(step);
    }

    /** The index in k of what stands at (a, b). */
    index([a, b], turned) {
      return turned ? [this.k.length - 1 - a, this.k[0].length - 1 - b] : [a, b];
    }

    /** Animate the turn when it happens; the numbers already stand where they end. */
    turn(turned) {
      const { table, title } = this.grids.k;
      title.textContent = turned ? "turned by 180\u00b0" : "weight";
      if (this.isTurned !== undefined && this.isTurned !== turned) {
        table.classList.remove("turning");
        void table.offsetWidth;  // restarts the animation
        table.classList.add("turning");
      }
      this.isTurned = turned;
    }

    prepared(step) {
      const [KH, KW] = [this.k.length, this.k[0].length];
      const words = step
        ? `Turn the kernel by 180 degrees: ${at("k", [KH - 1, KW - 1])} now stands where ${at("k", [0, 0])} stood.`
        : "The kernel as the forward pass used it, and dy with zeros around it, so that the kernel can reach over the edge.";
      return { head: [words], words };
    }

    gathered(pixel, terms) {
      const [r, c] = pixel;
      const value = this.dx[r][c];
      const chips = terms.flatMap((term, n) => [n ? " + " : " = ", this.chip(term)]);
      return {
        head: [`The window that starts at row ${r}, column ${c} gives ${at("dx", pixel)}:`],
        sum: [node("b", { class: "name" }, at("dx", pixel)), ...chips, " = ", node("b", { class: "total" }, number(value))],
        words: `${at("dx", pixel)} is ${numbers(terms)}: ${number(value)}.`,
      };
    }

    chip({ pixel, weight, dy, k }) {
      const origin = this.origin[pixel[0]][pixel[1]];
      const colored = (role, text) => node("span", { style: `color: var(--course-${role})` }, text);
      return node("span", { class: "term" },
        node("span", { class: "names" }, `${origin ? at("dy", origin) : "zero"} \u00b7 ${at("k", this.index(weight, true))}`),
        node("span", { class: "numbers" }, colored("gradient", factor(dy)), "\u00b7", colored("weight", factor(k))));
    }
  }

  return class extends Figure {
    label = "Backward pass, step by step";
    sheets = ["grid", "convolution", "backward-stepper"];

    build({ x, weight, dy, stride, padding }) {
      const given = { x, weight, dy, geometry: { stride, padding } };
      this.views = [new Scatter(given), new Correlation(given)];
      this.head = node("p", { class: "head" });
      this.code = node("pre", { class: "code" });
      this.sum = node("p", { class: "sum" });
      this.grids = node("div", { class: "grids" });
      this.back = node("button", { type: "button", onclick: () => this.go(this.step - 1) }, "Previous");
      this.on = node("button", { type: "button", onclick: () => this.go(this.step + 1) }, "Next");
      this.playing = node("button", { type: "button", onclick: () => (this.timer ? this.pause() : this.play()) }, "Play");
      this.slider = slider({ label: "step", min: 0, max: 1, value: 0, onmove: (step) => this.go(step) });
      const controls = node("div", { class: "controls", onkeydown: (event) => this.key(event) },
        this.back, this.on, this.playing, this.slider.element);
      this.stage.append(
        this.choice(), controls, this.grids,
        node("div", { class: "explanation" }, this.head, this.code, this.sum),
      );
      const widest = Math.max(x[0].length + 2 * padding, this.views[1].spread[0].length);
      this.stage.style.setProperty("--widest", widest);
      this.stage.classList.toggle("wide-grids", widest > 6);
      this.show(this.views[0], true);
    }

    disconnectedCallback() {
      this.pause();
    }

    /** One radio button for each view. */
    choice() {
      const options = this.views.map((view, n) => node("label", {},
        node("input", { type: "radio", name: "view", checked: n === 0, onchange: () => this.show(view) }),
        ` ${view.title}`));
      return node("fieldset", {}, node("legend", {}, "How dx comes about"), ...options);
    }

    show(view, quietly) {
      this.pause();
      this.view = view;
      this.grids.replaceChildren(...Object.values(view.grids).map(({ element }) => element));
      this.grids.className = `grids ${view instanceof Scatter ? "scatter" : "correlation"}`;
      const columns = Object.values(view.grids).map(({ size, padding }) => size[1] + 2 * padding);
      this.stage.style.setProperty("--columns", view instanceof Scatter
        ? columns[0] + columns[2] + columns[4] : columns[0] + columns[1] + columns[2]);
      this.slider.input.max = view.steps;
      this.go(0, quietly);
    }

    go(step, quietly) {
      this.step = Math.min(Math.max(step, 0), this.view.steps);
      const { head, code = "", sum = [], words } = this.view.draw(this.step);
      this.head.replaceChildren(...head);
      this.code.textContent = code;
      this.code.hidden = !code;
      this.sum.replaceChildren(...sum);
      this.slider.input.value = this.step;
      this.slider.shown.textContent = `${this.step} of ${this.view.steps}`;
      // Not `disabled`: that would take the focus away from whoever steps by keyboard.
      this.back.setAttribute("aria-disabled", this.step === 0);
      this.on.setAttribute("aria-disabled", this.step === this.view.steps);
      if (this.timer && this.step === this.view.steps) this.pause();
      if (!quietly) this.say(`Step ${this.step} of ${this.view.steps}. ${words}`);
    }

    /** Arrow keys on the buttons do what they do on the slider. */
    key(event) {
      const step = { ArrowLeft: this.step - 1, ArrowRight: this.step + 1, Home: 0, End: this.view.steps }[event.key];
      if (step === undefined || event.target === this.slider.input) return;
      event.preventDefault();
      this.go(step);
    }

    play() {
      if (this.step === this.view.steps) this.go(0);
      this.playing.textContent = "Pause";
      this.timer = setInterval(() => this.go(this.step + 1), 1000 * SECONDS_PER_STEP);
    }

    pause() {
      clearInterval(this.timer);
      this.timer = null;
      if (this.playing) this.playing.textContent = "Play";
    }
  };
});
