/* <course-backward-stepper>: the backward pass of a convolution, step by step, in two views.
 *
 * Output by output: each takes its dy and adds dy k to its window of dx, and dy times its window
 * of x to dweight. Or pixel by pixel: the kernel turns by 180 degrees and slides over dy; each
 * place gives one number of dx. Buttons, a slider, or the arrow keys on them step; Play walks on.
 */
"use strict";

courseFigures.define("course-backward-stepper", (course) => {
  const { convolution, Figure, Grid, node, number, slider, sum } = course;
  const { at, same } = Grid;

  const SECONDS_PER_STEP = 1.2;
  const shape = (array) => [array.length, array[0].length];
  const value = (array, [r, c]) => array[r][c];
  const position = (n, [, columns]) => [Math.floor(n / columns), n % columns];
  const row = (numbers) => `[${numbers.map(number).join(", ")}]`;
  const inWords = (array) => `[${array.map(row).join(", ")}]`;

  /** Output by output: dx and dweight grow with every step. */
  class OutputByOutput {
    static title = "output by output";
    layout = "two-rows";

    constructor({ x, weight, dy, geometry }) {
      const y = convolution.forward(x, weight, geometry);
      Object.assign(this, { x, weight, dy, geometry, given: { x, k: weight, y, dy } });
      this.meetings = convolution.meetings(x, weight, geometry);
      this.steps = dy.flat().length;
      this.grids = {
        x: new Grid({ name: "x", what: "input", role: "input" }),
        dx: new Grid({ name: "dx", what: "its gradient", role: "gradient" }),
        k: new Grid({ name: "k", what: "weight", role: "weight" }),
        dweight: new Grid({ name: "dweight", what: "its gradient", role: "gradient" }),
        y: new Grid({ name: "y", what: "output", role: "prediction" }),
        dy: new Grid({ name: "dy", what: "its gradient", role: "gradient" }),
      };
      for (const name of ["x", "dx"]) this.grids[name].resize(shape(x), geometry.padding);
      for (const name of ["k", "dweight"]) this.grids[name].resize(shape(weight));
      for (const name of ["y", "dy"]) this.grids[name].resize(shape(dy));
      this.columns = [x[0].length + 2 * geometry.padding, weight[0].length, dy[0].length];
    }

    draw(step) {
      const output = step ? position(step - 1, shape(this.dy)) : null;
      const met = output ? this.meetings.filter((one) => same(one.output, output)) : [];
      const gradients = convolution.backward(this.x, this.weight, this.dy, this.geometry, step);
      const values = { ...this.given, ...gradients };
      for (const [name, grid] of Object.entries(this.grids)) {
        grid.paint((place, inside) => ({
          value: inside ? value(values[name], place) : name === "x" ? 0 : undefined,
          ...this.mark(name, place, inside, output, met),
        }));
      }
      return output ? this.handedBack(output, gradients) : this.start();
    }

    /** Mark the output of this step, its window and the weights, with what each gradient gains. */
    mark(name, place, inside, output, met) {
      if (name === "y" || name === "dy") {
        return output && same(output, place) ? { states: ["picked"] } : {};
      }
      const kind = name === "x" || name === "dx" ? "pixel" : "weight";
      const one = met.find((meeting) => same(meeting[kind], place));
      if (!one) return {};
      const gain = { dx: one.k, dweight: one.x }[name] * value(this.dy, output);
      const note = Number.isNaN(gain) || !inside ? "" : `${gain < 0 ? "" : "+"}${number(gain)}`;
      return { states: ["touched"], note };
    }

    start() {
      const words = "At the start dx and dweight are zero everywhere.";
      return { head: words, words };
    }

    /** What one output adds: the two lines of code that do it, and where the gradients stand. */
    handedBack([i, j], { dx, dweight }) {
      const { stride, padding } = this.geometry;
      const dy = number(value(this.dy, [i, j]));
      const slice = (n, size) => `${n * stride}:${n * stride + size}`;
      const [KH, KW] = shape(this.weight);
      const window = `[${slice(i, KH)}, ${slice(j, KW)}]`;
      const suffix = padding ? "_pad" : "";
      const [from, seen] = [at("dy", [i, j]), at("y", [i, j])];
      return {
        head: `${from} = ${dy} goes to the window that ${seen} saw, and to every weight:`,
        code: `dx${suffix}${window} += ${dy} * k\ndweight += ${dy} * x${suffix}${window}`,
        words: `${from} is ${dy}. It adds ${dy} times k to dx${suffix}${window}, ` +
          `and ${dy} times x${suffix}${window} to dweight. ` +
          `Now dx is ${inWords(dx)} and dweight is ${inWords(dweight)}.`,
      };
    }
  }

  /** Pixel by pixel: the turned kernel slides over dy. */
  class FlippedKernel {
    static title = "as one correlation with the flipped kernel";
    layout = "one-row";

    constructor({ x, weight, dy, geometry }) {
      const indices = convolution.table(...shape(dy), (i, j) => [i, j]);
      Object.assign(this, { weight, turned: convolution.turned(weight) });
      this.spread = convolution.spread(x, weight, dy, geometry);
      this.origin = convolution.spread(x, weight, indices, geometry);  // index in dy, or 0
      this.dx = convolution.backward(x, weight, dy, geometry).dx;
      this.steps = 1 + x.flat().length;  // the turn, then one for each pixel
      const around = geometry.stride > 1 ? "zeros between and around" : "zeros around it";
      this.grids = {
        k: new Grid({ name: "k", what: "", role: "weight", bare: true }),
        dy: new Grid({ name: "dy", what: around, role: "gradient", bare: true }),
        dx: new Grid({ name: "dx", what: "gradient of x", role: "gradient" }),
      };
      this.grids.k.resize(shape(weight));
      this.grids.dy.resize(shape(this.spread));
      this.grids.dx.resize(shape(x));
      this.columns = [weight, this.spread, x].map((array) => array[0].length);
      const [KH, KW] = shape(weight);
      this.window = node("div", { class: "window", style: `--kh: ${KH}; --kw: ${KW}` });
      this.grids.dy.board.append(this.window);
    }

    draw(step) {
      const kernel = step ? this.turned : this.weight;
      const pixel = step > 1 ? position(step - 2, shape(this.dx)) : null;
      const terms = pixel ? convolution.correlationTerms(this.spread, kernel, pixel) : [];
      this.turn(step > 0);
      this.grids.k.paint((place) => ({
        value: value(kernel, place),
        tag: String(step ? this.opposite(place) : place),
      }));
      const under = (place) => terms.find((term) => same(term.pixel, place));
      this.grids.dy.paint((place) => this.look(place, under(place)));
      this.grids.dx.paint(([r, c]) => ({
        value: r * this.dx[0].length + c < step - 1 ? this.dx[r][c] : undefined,
        states: pixel && same(pixel, [r, c]) ? ["picked"] : [],
      }));
      this.slide(pixel);
      return pixel ? this.gathered(pixel, terms) : this.prepared(step);
    }

    look(place, term) {
      const filler = !value(this.origin, place);
      return {
        value: value(this.spread, place),
        states: [term && "touched", filler && "filler"].filter(Boolean),
        note: term ? `\u00d7${number(term.k)}` : "",
      };
    }

    /** Where in k the weight stands that the turned kernel has at (a, b). */
    opposite([a, b]) {
      const [KH, KW] = shape(this.weight);
      return [KH - 1 - a, KW - 1 - b];
    }

    /** Show the turn when it happens; the numbers already stand where it takes them. */
    turn(turned) {
      const { table, what } = this.grids.k;
      what.textContent = turned ? "weight, turned by 180\u00b0" : "weight";
      if (this.isTurned !== undefined && this.isTurned !== turned) {
        table.classList.remove("turning");
        void table.offsetWidth;  // so that the animation starts anew
        table.classList.add("turning");
      }
      this.isTurned = turned;
    }

    slide(pixel) {
      this.window.hidden = !pixel;
      const [r, c] = pixel || [0, 0];
      this.window.style.setProperty("--r", r);
      this.window.style.setProperty("--c", c);
    }

    prepared(step) {
      const first = at("k", [0, 0]);
      const last = at("k", this.opposite([0, 0]));
      const words = step
        ? `Turn the kernel by 180 degrees: ${last} now stands where ${first} stood.`
        : "The kernel as the forward pass used it; the zeros let it reach over the edge of dy.";
      return { head: words, words };
    }

    gathered(pixel, terms) {
      const name = at("dx", pixel);
      const total = value(this.dx, pixel);
      const products = terms.map((term) => {
        const origin = value(this.origin, term.pixel);
        return {
          names: [origin ? at("dy", origin) : "zero", at("k", this.opposite(term.weight))],
          left: term.dy,
          right: term.k,
          roles: ["gradient", "weight"],
        };
      });
      return {
        head: `At row ${pixel[0]}, column ${pixel[1]} the turned kernel gives ${name}:`,
        sum: sum.written(name, products, total),
        words: sum.spoken(name, products, total),
      };
    }
  }

  return class extends Figure {
    label = "Backward pass, step by step";
    sheets = ["grid", "sum", "convolution", "backward-stepper"];

    build({ x, weight, dy, stride, padding }) {
      const given = { x, weight, dy, geometry: { stride, padding } };
      this.views = [new OutputByOutput(given), new FlippedKernel(given)];
      [this.view] = this.views;
      this.head = node("p");
      this.code = node("pre");
      this.sum = node("p", { class: "sum" });
      this.grids = node("div", { class: "grids" });
      this.stage.append(this.choices(), this.controls(), this.grids,
        node("div", { class: "explanation" }, this.head, this.code, this.sum));
      this.show(this.view);
    }

    disconnectedCallback() {
      this.pause();
    }

    /** A radio button for each view. */
    choices() {
      const options = this.views.map((view, n) => {
        const choose = () => {
          this.show(view);
          this.say(`${view.constructor.title}. ${this.words}`);
        };
        const checked = n === 0;
        return node("label", { class: "choice" },
          node("input", { type: "radio", name: "view", checked, onchange: choose }),
          view.constructor.title);
      });
      return node("fieldset", {}, node("legend", {}, "How dx comes about"), ...options);
    }

    controls() {
      const button = (text, onclick) => node("button", { type: "button", onclick }, text);
      this.back = button("Previous", () => this.go(this.step - 1));
      this.next = button("Next", () => this.go(this.step + 1));
      this.player = button("Play", () => (this.timer ? this.pause() : this.play()));
      this.slider = slider({
        label: "step", min: 0, max: this.view.steps, value: 0,
        onmove: (step) => this.go(step), words: (step) => `${step} of ${this.view.steps}`,
      });
      return node("div", { class: "controls", onkeydown: (event) => this.key(event) },
        this.back, this.next, this.player, this.slider.element);
    }

    show(view) {
      this.pause();
      this.view = view;
      this.grids.className = `grids ${view.layout}`;
      this.grids.replaceChildren(...Object.values(view.grids).map(({ element }) => element));
      Grid.fit(this.stage, view.columns);
      this.slider.input.max = view.steps;
      this.draw(0);
    }

    go(step) {
      const last = this.view.steps;
      this.draw(Math.min(Math.max(step, 0), last));
      if (this.step === last) this.pause();
      this.say(`Step ${this.step} of ${last}. ${this.words}`);
    }

    draw(step) {
      const { head, code = "", sum: terms = [], words } = this.view.draw(step);
      Object.assign(this, { step, words });
      this.head.textContent = head;
      this.code.textContent = code;
      this.sum.replaceChildren(...terms);
      this.slider.show(step);
      // Not `disabled`: that would take the focus from whoever steps by keyboard.
      this.back.setAttribute("aria-disabled", step === 0);
      this.next.setAttribute("aria-disabled", step === this.view.steps);
    }

    /** The arrow keys do on the buttons what they do on the slider. */
    key(event) {
      const { step, view: { steps } } = this;
      const target = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: steps }[event.key];
      if (target === undefined || event.target === this.slider.input) return;
      event.preventDefault();
      this.go(target);
    }

    play() {
      if (this.step === this.view.steps) this.go(0);
      this.player.textContent = "Pause";
      this.timer = setInterval(() => this.go(this.step + 1), 1000 * SECONDS_PER_STEP);
    }

    pause() {
      clearInterval(this.timer);
      this.timer = null;
      this.player.textContent = "Play";
    }
  };
});
