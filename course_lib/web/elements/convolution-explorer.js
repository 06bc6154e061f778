/* <course-convolution-explorer>: which outputs a pixel touches, and the terms of every gradient.
 *
 * Point at a pixel of x to see the outputs it touches, the weight it met for each, and the sum
 * that is its gradient; at a weight for its gradient; at an output for its window. Two sliders
 * move stride and padding. Tab goes from grid to grid, the arrow keys move inside, Escape lets go.
 */
"use strict";

courseFigures.define("course-convolution-explorer", (course) => {
  const { count, factor, Figure, Grid, node, number, slider } = course;
  const convolution = course.convolution;

  const QUANTITIES = {  // in the order in which they stand; each gradient follows its quantity
    x: { what: "input", role: "input", kind: "pixel", focusable: true },
    dx: { what: "its gradient", role: "gradient", kind: "pixel" },
    k: { what: "weight", role: "weight", kind: "weight", focusable: true },
    dweight: { what: "its gradient", role: "gradient", kind: "weight" },
    y: { what: "output", role: "prediction", kind: "output", focusable: true },
    dy: { what: "its gradient", role: "gradient", kind: "output" },
  };
  const TOUCHED = { pixel: ["k", "y", "dy"], weight: ["x", "dy"], output: ["x", "k"] };
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const MOST_SPOKEN = 9;  // terms that the live region reads out; the rest is in the sum below
  const same = (p, q) => p[0] === q[0] && p[1] === q[1];
  const at = (name, [r, c]) => `${name}[${r}, ${c}]`;

  return class extends Figure {
    label = "Convolution explorer";
    sheets = ["grid", "convolution"];

    build({ x, weight, dy, stride, padding }) {
      Object.assign(this, { x, weight, givenDy: dy, geometry: { stride, padding }, pick: null });
      this.grids = Object.fromEntries(Object.entries(QUANTITIES).map(([name, options]) => [
        name,
        new Grid({ name, ...options, onpick: (position) => this.choose(options.kind, position) }),
      ]));
      const move = (name) => (value) => this.move({ ...this.geometry, [name]: value });
      const sliders = [
        slider({ label: "stride", min: 1, max: 3, value: stride, onmove: move("stride") }),
        slider({ label: "padding", min: 0, max: 2, value: padding, onmove: move("padding") }),
      ];
      this.head = node("p", { class: "head" });
      this.sum = node("p", { class: "sum" });
      this.stage.addEventListener("keydown", (event) => event.key === "Escape" && this.choose(null));
      this.stage.append(
        node("div", { class: "controls" }, ...sliders.map(({ element }) => element)),
        node("div", { class: "grids" }, ...Object.values(this.grids).map(({ element }) => element)),
        node("div", { class: "explanation" }, this.head, this.sum),
      );
      this.layOut();
      this.draw();
    }

    /** Take another stride or padding. */
    move(geometry) {
      this.geometry = geometry;
      this.layOut();
      if (this.pick && !this.has(this.pick)) this.pick = null;
      this.draw();
      const [HO, WO] = this.outputShape;
      const { stride, padding } = geometry;
      this.say(`Stride ${stride}, padding ${padding}: the output is ${HO} by ${WO}. ${this.idle()}`);
    }

    /** Compute everything anew and lay the grids out for it. */
    layOut() {
      const { x, weight, geometry } = this;
      this.outputShape = convolution.outputShape(x, weight, geometry);
      const dy = convolution.repeated(this.givenDy, this.outputShape);
      this.values = {
        x, k: weight, y: convolution.forward(x, weight, geometry), dy,
        ...convolution.backward(x, weight, dy, geometry),
      };
      this.meetings = convolution.meetings(x, weight, geometry);
      for (const [name, grid] of Object.entries(this.grids)) {
        const value = this.values[name];
        grid.resize([value.length, value[0].length], QUANTITIES[name].kind === "pixel" ? geometry.padding : 0);
      }
      const columns = (name) => this.values[name][0].length;
      const widest = Math.max(columns("x") + 2 * geometry.padding, columns("y"));
      this.stage.style.setProperty("--columns", columns("x") + 2 * geometry.padding + columns("k") + columns("y"));
      this.stage.style.setProperty("--widest", widest);
      this.stage.classList.toggle("wide-grids", widest > 6);
    }

    has({ kind, position }) {
      const value = this.values[{ pixel: "x", weight: "k", output: "y" }[kind]];
      return position[0] < value.length && position[1] < value[0].length;
    }

    choose(kind, position) {
      this.pick = kind && { kind, position };
      this.draw();
      this.say(this.words());
    }

    /** The meetings of what is picked, those on the padding only where they can be seen. */
    terms() {
      if (!this.pick) return [];
      const { kind, position } = this.pick;
      return this.meetings.filter((met) => same(met[kind], position) && (met.inside || kind !== "pixel"));
    }

    draw() {
      const terms = this.terms();
      const letters = new Map();  // "kind r,c" -> its letter in the sum
      terms.forEach((met, n) => {
        for (const kind of ["pixel", "weight", "output"]) {
          if (kind !== this.pick.kind) letters.set(`${kind} ${met[kind]}`, { letter: LETTERS[n], met });
        }
      });
      for (const [name, grid] of Object.entries(this.grids)) {
        grid.paint((position, inside) => this.look(name, position, inside, letters));
      }
      this.explain(terms);
    }

    /** How one cell looks: picked, touched with the letter of its term, or out of every window. */
    look(name, position, inside, letters) {
      const { kind } = QUANTITIES[name];
      const touched = this.pick && TOUCHED[this.pick.kind].includes(name);
      const found = touched && letters.get(`${kind} ${position}`);
      const states = [];
      if (this.pick && this.pick.kind === kind && same(this.pick.position, position)) states.push("picked");
      if (found) states.push("touched");
      if (kind === "pixel" && inside && !this.meetings.some((met) => same(met.pixel, position))) {
        states.push("idle");
      }
      const outside = name === "x" ? 0 : "";
      return {
        value: inside ? this.values[name][position[0]][position[1]] : outside,
        states,
        tag: found && found.letter,
        note: found && this.pick.kind === "pixel" && name === "dy" ? `\u00d7${number(found.met.k)}` : "",
      };
    }

    /** What is picked in a sentence, and its sum term by term. */
    explain(terms) {
      const sentence = this.pick ? this.sentence(terms) : this.invitation();
      this.head.replaceChildren(sentence);
      this.sum.replaceChildren(...(this.pick ? this.formula(terms) : []));
    }

    invitation() {
      return `Point at a pixel of x, a weight of k or an output of y. ${this.idle()}`;
    }

    /** How many pixels no window touches. */
    idle() {
      const touched = new Set(this.meetings.filter(({ inside }) => inside).map(({ pixel }) => String(pixel)));
      const n = this.x.length * this.x[0].length - touched.size;
      return n ? `No window touches ${count(n, "pixel")}: ${n === 1 ? "its" : "their"} gradient is 0.` : "";
    }

    /** { name, value, left, right }: what is picked, and the two factors of each of its terms. */
    product() {
      const { kind, position } = this.pick;
      const dy = (met) => [at("dy", met.output), this.values.dy[met.output[0]][met.output[1]], "gradient"];
      const k = (met) => [at("k", met.weight), met.k, "weight"];
      const x = (met) => [met.inside ? at("x", met.pixel) : "padding", met.x, "input"];
      const [name, left, right] = { pixel: ["dx", dy, k], weight: ["dweight", dy, x], output: ["y", x, k] }[kind];
      return { name, value: this.values[name][position[0]][position[1]], left, right };
    }

    sentence(terms) {
      const { kind, position } = this.pick;
      if (kind === "pixel") {
        if (!terms.length) return `No window touches ${at("x", position)}. Its gradient is 0.`;
        return `${at("x", position)} touches ${count(terms.length, "output")}. ` +
          `Each hands back its dy times the weight that the pixel met there.`;
      }
      if (kind === "weight") {
        return `${at("k", position)} is used for ${terms.length === 1 ? "the only output" : `all ${terms.length} outputs`}. ` +
          `Each hands back its dy times the pixel that the weight met there.`;
      }
      return `${at("y", position)} sees ${count(terms.length, "pixel")}, each under its weight.`;
    }

    formula(terms) {
      const { name, value, left, right } = this.product();
      const chips = terms.flatMap((met, n) => [n ? " + " : " = ", this.chip(LETTERS[n], left(met), right(met))]);
      return [node("b", { class: "name" }, at(name, this.pick.position)), ...chips,
        " = ", node("b", { class: "total" }, number(value))];
    }

    chip(letter, [leftName, left, leftRole], [rightName, right, rightRole]) {
      const colored = (role, text) => node("span", { style: `color: var(--course-${role})` }, text);
      return node("span", { class: "term" },
        node("span", { class: "names" }, letter ? node("b", {}, `${letter} `) : "", `${leftName} \u00b7 ${rightName}`),
        node("span", { class: "numbers" }, colored(leftRole, factor(left)), "\u00b7", colored(rightRole, factor(right))));
    }

    /** The same for those who listen. */
    words() {
      if (!this.pick) return `Nothing is picked. ${this.idle()}`;
      const terms = this.terms();
      const { name, value, left, right } = this.product();
      const total = `${at(name, this.pick.position)} is ${number(value)}.`;
      const spoken = terms.map((met) => `${number(left(met)[1])} times ${number(right(met)[1])}`).join(" plus ");
      const sum = terms.length && terms.length <= MOST_SPOKEN ? `${spoken}: ` : "";
      return `${this.sentence(terms)} ${sum}${total}`;
    }
  };
});
