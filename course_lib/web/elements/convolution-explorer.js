/* <course-convolution-explorer>: which outputs a pixel touches, and the terms of every gradient.
 *
 * Point at a pixel of x to see the outputs it touches, the weight it met for each, and the sum
 * that is its gradient; at a weight for its gradient; at an output for its window. Two sliders
 * move stride and padding. Tab goes from grid to grid, the arrow keys move inside, Escape lets go.
 */
"use strict";

courseFigures.define("course-convolution-explorer", (course) => {
  const { convolution, count, Figure, Grid, node, number, slider, sum } = course;
  const { at, same } = Grid;

  const GRIDS = {  // in the order in which they stand: each gradient after its quantity
    x: { of: "pixel", what: "input", role: "input", focusable: true },
    dx: { of: "pixel", what: "its gradient", role: "gradient" },
    k: { of: "weight", what: "weight", role: "weight", focusable: true },
    dweight: { of: "weight", what: "its gradient", role: "gradient" },
    y: { of: "output", what: "output", role: "prediction", focusable: true },
    dy: { of: "output", what: "its gradient", role: "gradient" },
  };
  const PICKED = {  // what is summed when one of these is picked, and where the terms are marked
    pixel: { name: "x", result: "dx", left: "dy", right: "k", touched: ["k", "y", "dy"] },
    weight: { name: "k", result: "dweight", left: "dy", right: "x", touched: ["x", "dy"] },
    output: { name: "y", result: "y", left: "x", right: "k", touched: ["x", "k"] },
  };

  return class extends Figure {
    label = "Convolution explorer";
    sheets = ["grid", "sum", "convolution"];

    build({ x, weight, dy, stride, padding }) {
      Object.assign(this, { x, weight, givenDy: dy, geometry: { stride, padding }, pick: null });
      this.grids = {};
      for (const [name, options] of Object.entries(GRIDS)) {
        const onpick = (position) => this.choose({ of: options.of, position });
        this.grids[name] = new Grid({ name, ...options, onpick });
      }
      const control = (label, min, max) => slider({
        label, min, max, value: this.geometry[label],
        onmove: (value) => this.move({ [label]: value }),
      });
      this.sliders = { stride: control("stride", 1, 3), padding: control("padding", 0, 2) };
      const elements = (parts) => Object.values(parts).map(({ element }) => element);
      this.head = node("p");
      this.sum = node("p", { class: "sum" });
      this.stage.append(
        node("div", { class: "controls" }, ...elements(this.sliders)),
        node("div", { class: "grids" }, ...elements(this.grids)),
        node("div", { class: "explanation" }, this.head, this.sum),
      );
      this.stage.addEventListener("keydown", ({ key }) => key === "Escape" && this.choose(null));
      this.layOut();
      this.draw();
    }

    /** Take another stride or padding. */
    move(change) {
      Object.assign(this.geometry, change);
      for (const [name, { show }] of Object.entries(this.sliders)) show(this.geometry[name]);
      this.layOut();
      if (this.pick && !this.has(this.pick)) this.pick = null;
      this.draw();
      const { stride, padding } = this.geometry;
      const [HO, WO] = convolution.outputShape(this.x, this.weight, this.geometry);
      const shape = `Stride ${stride}, padding ${padding}: the output is ${HO} by ${WO}.`;
      this.say(`${shape} ${this.untouched()}`);
    }

    /** Pick { of: "pixel", "weight" or "output", position }, or nothing. */
    choose(pick) {
      this.pick = pick;
      this.say(this.draw());
    }

    /** Compute everything for the geometry, and size the grids. */
    layOut() {
      const { x, weight, geometry } = this;
      const { padding } = geometry;
      const dy = convolution.repeated(this.givenDy, convolution.outputShape(x, weight, geometry));
      const y = convolution.forward(x, weight, geometry);
      this.values = { x, k: weight, y, dy, ...convolution.backward(x, weight, dy, geometry) };
      this.meetings = convolution.meetings(x, weight, geometry);
      const inside = this.meetings.filter((met) => met.inside);
      this.seen = new Set(inside.map(({ pixel }) => String(pixel)));  // what a window touches
      for (const [name, grid] of Object.entries(this.grids)) {
        const value = this.values[name];
        grid.resize([value.length, value[0].length], GRIDS[name].of === "pixel" ? padding : 0);
      }
      Grid.fit(this.stage, [x[0].length + 2 * padding, weight[0].length, y[0].length]);
    }

    has({ of, position: [r, c] }) {
      const value = this.values[PICKED[of].name];
      return r < value.length && c < value[0].length;
    }

    /** The terms of the sum that belongs to what is picked, for `sum` and for the grids. */
    terms() {
      const { of, position } = this.pick;
      const { left, right } = PICKED[of];
      const met = this.meetings.filter((one) => same(one[of], position));
      return met.map((meeting, n) => ({
        meeting,
        letter: sum.letter(n, met.length),
        names: [left, right].map((name) => this.nameIn(meeting, name)),
        left: this.valueIn(meeting, left),
        right: this.valueIn(meeting, right),
        roles: [left, right].map((name) => GRIDS[name].role),
      }));
    }

    nameIn(meeting, name) {
      return name === "x" && !meeting.inside ? "padding" : at(name, meeting[GRIDS[name].of]);
    }

    valueIn(meeting, name) {
      if (name !== "dy") return meeting[name];
      const [i, j] = meeting.output;
      return this.values.dy[i][j];
    }

    /** Draw the state, and return it in words. */
    draw() {
      const terms = this.pick ? this.terms() : [];
      for (const [name, grid] of Object.entries(this.grids)) {
        const marks = this.marks(name, terms);
        grid.paint((position, inside) => this.look(name, position, inside, marks));
      }
      return this.pick ? this.explain(terms) : this.invite();
    }

    invite() {
      const invitation = "Point at a pixel of x, a weight of k or an output of y.";
      this.head.textContent = `${invitation} ${this.untouched()}`;
      this.sum.replaceChildren();
      return `Nothing is picked. ${this.untouched()}`;
    }

    /** The sum that belongs to what is picked. */
    explain(terms) {
      const { of, position: [r, c] } = this.pick;
      const { result } = PICKED[of];
      const [name, total] = [at(result, [r, c]), this.values[result][r][c]];
      const sentence = this.sentence(terms.length);
      this.head.textContent = sentence;
      this.sum.replaceChildren(...sum.written(name, terms, total));
      return `${sentence} ${sum.spoken(name, terms, total)}`;
    }

    /** Position in grid `name` -> the term that touches it. */
    marks(name, terms) {
      if (!this.pick || !PICKED[this.pick.of].touched.includes(name)) return new Map();
      return new Map(terms.map((term) => [String(term.meeting[GRIDS[name].of]), term]));
    }

    look(name, position, inside, marks) {
      const { of } = GRIDS[name];
      const term = marks.get(String(position));
      const picked = this.pick && this.pick.of === of && same(this.pick.position, position);
      const idle = of === "pixel" && inside && !this.seen.has(String(position));
      const states = [picked && "picked", term && "touched", idle && "idle"].filter(Boolean);
      const besideWeight = term && name === "dy" && this.pick.of === "pixel";
      return {
        value: inside ? this.values[name][position[0]][position[1]] : name === "x" ? 0 : undefined,
        states,
        tag: term ? term.letter : "",
        note: besideWeight ? `\u00d7${number(term.right)}` : "",
      };
    }

    /** What is picked, and the `n` meetings it has. */
    sentence(n) {
      const { of, position } = this.pick;
      const what = at(PICKED[of].name, position);
      if (of === "output") return `${what} sees ${count(n, "pixel")}, each under its weight.`;
      if (!n) return `No window touches ${what}: its gradient is 0.`;
      const [verb, other] = { pixel: ["touches", "weight"], weight: ["is used for", "pixel"] }[of];
      const each = n === 1 ? "It" : "Each";
      return `${what} ${verb} ${count(n, "output")}. ` +
        `${each} hands back its dy times the ${other} that the ${of} met there.`;
    }

    untouched() {
      const n = this.x.flat().length - this.seen.size;
      return n ? `No window touches ${count(n, "pixel")}: gradient 0.` : "";
    }
  };
});
