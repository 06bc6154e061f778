/* <course-inception-widths>: the widths of an inception module, and what its branches cost.
 *
 * Choose a module of GoogLeNet and move six sliders. In the drawing every band is as broad as there
 * are maps: a reduction makes a waist before the costly convolution. The naive module, without
 * reductions, is one choice away, and stands beside all counts.
 */
"use strict";

courseFigures.define("course-inception-widths", ({ counting, Figure, node, shape, slider }) => {
  const { TIMES, exact, percent, short } = counting;

  const ONE = `1 ${TIMES} 1`, THREE = `3 ${TIMES} 3`, FIVE = `5 ${TIMES} 5`;
  const SLIDERS = [  // in the order of the paper's table; `column` is the branch
    { label: ONE, column: 0 },
    { label: `${THREE} reduce`, column: 1, optional: true },
    { label: THREE, column: 1 },
    { label: `${FIVE} reduce`, column: 2, optional: true },
    { label: FIVE, column: 2 },
    { label: "pool projection", column: 3, optional: true },
  ];
  const BRANCHES = [ONE, THREE, FIVE, "pool"];
  const LEAST_MOST = 64;  // maps to which every slider reaches at least
  // Heights in pixels; across, the drawing has 400 units, 100 for each branch.
  const Y = { top: 34, first: 84, firstEnd: 130, second: 186, secondEnd: 232, concat: 304,
    end: 338 };
  const BROADEST = 86;

  /** Weights of a convolution, and of the one that reduces its input, if any. */
  function reduced(C, reduce, maps, kernel) {
    return { before: C * reduce, own: kernel ** 2 * (reduce || C) * maps };
  }

  /** The four branches: maps, and weights of the parts in both rows of the drawing. */
  function branches(C, [one, reduce3, three, reduce5, five, project]) {
    const made = [
      { maps: one, before: 0, own: C * one },
      { maps: three, ...reduced(C, reduce3, three, 3) },
      { maps: five, ...reduced(C, reduce5, five, 5) },
      { maps: project || C, before: 0, own: C * project },
    ];
    return made.map((branch) => ({ ...branch, weights: branch.before + branch.own }));
  }

  function total(list) {
    const sum = (key) => list.reduce((all, branch) => all + branch[key], 0);
    return { maps: sum("maps"), weights: sum("weights") };
  }

  /** "9.7 times fewer", "1.2 times as many", "as many". */
  function compared(now, then) {
    if (now < 0.95 * then) return `${(then / now).toPrecision(2)} times fewer`;
    if (now > 1.05 * then) return `${(now / then).toPrecision(2)} times as many`;
    return "about as many";
  }

  return class extends Figure {
    label = "An inception module and its widths";
    sheets = ["inception-widths"];

    build({ modules, chosen }) {
      this.modules = modules;
      this.module = node("div", { class: "module", role: "img" });
      this.explanation = node("p", { class: "explanation" });
      const key = node("p", { class: "key" }, "Bands are as broad as there are maps. A box " +
        "says its kernel, the maps it makes, and how many weights that takes.");
      this.stage.append(this.controls(chosen), key, this.module, this.sliders(), this.table(),
        this.explanation);
      this.load(chosen);
    }

    controls(chosen) {
      const options = Object.entries(this.modules).map(([value, [C, size]]) =>
        node("option", { value, selected: value === chosen }, value === "own" ? "this module"
          : `inception ${value}: ${C} maps of ${size} ${TIMES} ${size}`));
      this.select = node("select", { id: "module", onchange: () => {
        this.load(this.select.value, this.isNaive());
        this.tell(this.select.selectedOptions[0].textContent);
      } }, ...options);
      this.kinds = [["reduced", "with reductions"], ["naive", "naive, without"]].map(
        ([value, text]) => {
          const input = node("input", { type: "radio", name: "kind", value,
            onchange: () => this.reduce(value === "reduced") });
          return { input, element: node("label", { class: "choice" }, input, text) };
        });
      return node("div", { class: "controls" },
        node("span", { class: "labelled" }, node("label", { for: "module" }, "module"),
          this.select),
        node("span", { class: "kinds", role: "radiogroup", "aria-label": "reductions" },
          ...this.kinds.map(({ element }) => element)),
        node("button", { type: "button", onclick: () => {
          this.load(this.select.value);
          this.tell("As it was");
        } }, "Reset"));
    }

    /** Six sliders, those of a branch under it. */
    sliders() {
      this.inputs = SLIDERS.map(({ label, optional }, n) => slider({ label, value: 0,
        min: optional ? 0 : 1, max: LEAST_MOST, onmove: (value) => this.move(n, value),
        words: (value) => (value ? `${value} maps` : "left out") }));
      const columns = BRANCHES.map((_, column) => node("div", { class: "column" },
        ...this.inputs.filter((_, n) => SLIDERS[n].column === column).map((one) => one.element)));
      return node("div", { class: "sliders" }, ...columns);
    }

    table() {
      const heads = ["branch", "maps", "weights", "multiply-accumulates",
        "beside the naive module"];
      const cell = (name) => node("td", { class: name });
      const row = (title) => {
        const cells = { maps: cell("number"), weights: cell("number"), macs: cell("number"),
          bar: node("i", { class: "bar" }), naive: node("i", { class: "bar ghost" }),
          share: node("b"), of: node("small") };
        const track = node("span", { class: "track" }, cells.naive, cells.bar);
        const element = node("tr", {}, node("th", { scope: "row" }, title), cells.maps,
          cells.weights, cells.macs, node("td", { class: "share" },
            node("span", { class: "both" }, track, node("span", { class: "percent" },
              cells.share, " ", cells.of))));
        return { element, cells };
      };
      this.rows = [...BRANCHES, "module"].map(row);
      return node("table", {}, node("thead", {}, node("tr", {}, ...heads.map((text) =>
        node("th", { scope: "col" }, text)))),
      node("tbody", {}, ...this.rows.map(({ element }) => element)));
    }

    load(name, naive = false) {
      const [C, size, widths] = this.modules[name];
      Object.assign(this, { C, size, widths: [...widths], reductions: [...widths] });
      const most = Math.max(C, ...widths, LEAST_MOST);
      const step = [8, 4, 2, 1].find((n) => widths.every((width) => width % n === 0));
      this.inputs.forEach(({ input }, n) => {
        input.max = Math.ceil(most / step) * step;
        input.step = step;
        input.min = SLIDERS[n].optional ? 0 : step;
      });
      if (naive) this.leaveOut();
      this.draw();
    }

    isNaive() {
      return SLIDERS.every(({ optional }, n) => !optional || !this.widths[n]);
    }

    leaveOut() {
      SLIDERS.forEach(({ optional }, n) => {
        if (optional) this.widths[n] = 0;
      });
    }

    /** Put the reductions back as they were, or leave them out. */
    reduce(wanted) {
      if (wanted) {
        const kept = this.reductions.some((width, n) => SLIDERS[n].optional && width);
        const back = kept ? this.reductions : this.modules[this.select.value][2];
        SLIDERS.forEach(({ optional }, n) => {
          if (optional) this.widths[n] = back[n] || Math.ceil(this.C / 2);
        });
      } else {
        this.reductions = [...this.widths];
        this.leaveOut();
      }
      this.draw();
      this.tell(wanted ? "With reductions" : "Without reductions");
    }

    move(n, value) {
      this.widths[n] = value;
      if (!this.isNaive()) this.reductions = [...this.widths];
      this.draw();
      this.tell(`${SLIDERS[n].label}: ${value ? `${value} maps` : "left out"}`);
    }

    tell(what) {
      this.say(`${what}. ${this.summary()} ${this.explanation.textContent}`);
    }

    summary() {
      const { now, then } = this;
      return `The module: ${exact(now.maps)} maps, ${exact(now.weights)} weights, ` +
        `${exact(now.weights * this.size ** 2)} multiply-accumulates, ` +
        `${percent(now.weights / then.weights)} of the naive module.`;
    }

    draw() {
      const [one, , three, , five] = this.widths;
      this.branches = branches(this.C, this.widths);
      this.naive = branches(this.C, [one, 0, three, 0, five, 0]);
      [this.now, this.then] = [this.branches, this.naive].map(total);
      this.inputs.forEach(({ show }, n) => show(this.widths[n]));
      this.kinds.forEach(({ input }, n) => { input.checked = this.isNaive() === Boolean(n); });
      this.drawModule();
      this.drawTable();
      this.explanation.textContent = this.words();
    }

    drawTable() {
      const { branches: made, naive, now, then, size } = this;
      const longest = Math.max(...made.map((b) => b.weights), ...naive.map((b) => b.weights));
      [...made, now].forEach((branch, n) => {
        const { cells } = this.rows[n];
        const before = [...naive, then][n];
        const full = n < made.length ? longest : Math.max(now.weights, then.weights);
        cells.maps.textContent = exact(branch.maps);
        cells.weights.textContent = exact(branch.weights);
        cells.macs.textContent = short(branch.weights * size ** 2);
        cells.bar.style.setProperty("--length", branch.weights / full);
        cells.naive.style.setProperty("--length", before.weights / full);
        cells.naive.hidden = !before.weights;
        cells.share.textContent = before.weights ? percent(branch.weights / before.weights) : "";
        cells.of.textContent = before.weights ? `of ${short(before.weights)}` : "it has none";
      });
    }

    /** The module from the top down: maps, reductions, convolutions, and the maps side by side. */
    drawModule() {
      const { C, size, widths, branches: made, now } = this;
      const [, reduce3, , reduce5, , project] = widths;
      const unit = BROADEST / Math.max(C, ...widths);
      const middle = (column) => 50 + 100 * column;
      const bands = [];
      const band = (role, from, to, y, end, broad, broadEnd = broad) => {
        const [a, b] = [broad * unit / 2, broadEnd * unit / 2];
        const m = (y + end) / 2;
        const d = `M${from - a} ${y}C${from - a} ${m} ${to - b} ${m} ${to - b} ${end}` +
          `H${to + b}C${to + b} ${m} ${from + a} ${m} ${from + a} ${y}z`;
        bands.push(shape("path", { class: `band ${role}`, d }));
      };
      const middles = [0, reduce3, reduce5, 0];
      let left = 200 - now.maps * unit / 2;
      made.forEach((branch, column) => {
        const x = middle(column);
        const narrowed = middles[column];
        const has = { first: column === 3 || narrowed > 0, second: column < 3 || project > 0 };
        band("input", 200, x, Y.top, has.first ? Y.first : Y.second, C);
        if (has.first) {
          const until = has.second ? Y.second : Y.secondEnd;
          band(narrowed ? "between" : "input", x, x, Y.firstEnd, until, narrowed || C);
        }
        const to = left + branch.maps * unit / 2;
        band("prediction", x, to, Y.secondEnd, Y.concat, branch.maps);
        left += branch.maps * unit;
      });
      const boxes = made.flatMap((branch, column) => this.boxes(branch, column));
      const bar = (role, y, end, maps, text) => node("div", { class: `bar-of-maps ${role}`,
        style: `top: ${y}px; height: ${end - y}px; width: ${maps * unit / 4}%` },
      node("span", {}, text));
      this.module.setAttribute("aria-label", this.inWords());
      this.module.replaceChildren(
        shape("svg", { viewBox: `0 0 400 ${Y.end}`, preserveAspectRatio: "none" }, ...bands),
        bar("input", 0, Y.top, C, `${exact(C)} maps in, ${size} ${TIMES} ${size}`), ...boxes,
        bar("prediction", Y.concat, Y.end, now.maps, `${exact(now.maps)} maps out`));
    }

    /** The parts of one branch, each with its kernel, its maps and its weights. */
    boxes({ before, own, maps }, column) {
      const box = (row, kind, title, counts) => node("div", { class: `box ${kind}`,
        style: `left: ${25 * column}%; top: ${Y[row]}px; height: ${Y.firstEnd - Y.first}px` },
      node("b", {}, title), node("span", {}, counts));
      const arrow = (kernel, width) => `${kernel} \u2192 ${width}`;
      const weighs = (n) => node("span", {}, short(n), node("span", { class: "unit" }, " weights"));
      const made = [];
      if (column === 3) made.push(box("first", "pool", `${THREE} max`, "no weights"));
      else if (before) {
        const width = this.widths[column === 1 ? 1 : 3];
        made.push(box("first", "conv", arrow(ONE, width), weighs(before)));
      }
      if (own) {
        made.push(box("second", "conv", arrow(column === 3 ? ONE : BRANCHES[column], maps),
          weighs(own)));
      }
      return made;
    }

    inWords() {
      const parts = this.branches.map(({ before, own, maps }, column) => {
        const first = column === 3 ? `${THREE} max pooling`
          : before ? `${ONE} to ${this.widths[column === 1 ? 1 : 3]} maps` : "";
        const second = own ? `${column === 3 ? ONE : BRANCHES[column]} to ${maps} maps` : "";
        return [first, second].filter(Boolean).join(", then ");
      });
      return `${this.C} maps go into four branches: ${parts.join("; ")}. Side by side they are ` +
        `${this.now.maps} maps.`;
    }

    /** What the reductions do, where they do most. */
    words() {
      const { branches: made, naive, now, then, size } = this;
      const places = `Every weight works at ${size} ${TIMES} ${size} = ${exact(size ** 2)} places.`;
      if (this.isNaive()) {
        return `${places} Without a projection the pooling hands on all ${this.C} maps, so that ` +
          `every module puts out more than it takes in: here ${exact(now.maps)}.`;
      }
      const saved = made.map((branch, n) => naive[n].weights - branch.weights);
      const most = saved.indexOf(Math.max(...saved));
      const whole = `The whole module has ${compared(now.weights, then.weights)}.`;
      if (saved[most] <= 0) return `${places} No branch saves weights. ${whole}`;
      const [a, b] = [made[most].weights, naive[most].weights];
      return `${places} The ${BRANCHES[most]} branch has ${exact(a)} weights, not ${exact(b)}, ` +
        `and ${short(a * size ** 2)} multiply-accumulates, not ${short(b * size ** 2)}: ` +
        `${compared(a, b)}. ${whole}`;
    }
  };
});
