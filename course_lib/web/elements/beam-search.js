/* <course-beam-search>: what a beam search kept and cut, word by word, for each width of the beam.
 *
 * Sliders set the width, and up to which word the tree is shown. Choose a node to see the terms of
 * its sum; the arrow keys go to its parent, its children and its neighbours.
 */
"use strict";

courseFigures.define("course-beam-search", ({ count, Figure, node, shape, slider }) => {
  const ROW = 66;  // pixels from one word to the next, as in the style sheet
  const HALF = 21;  // half the height of a node
  const UNITS = 100;  // of the drawing, from one place to the next
  const FEW = 4;  // places that a row has at least
  const fixed = (value, digits = 2) => value.toFixed(digits).replace("-", "\u2212");
  const percent = (logarithm) => {
    const value = 100 * Math.exp(logarithm);
    return `${value >= 0.1 ? Number(value.toPrecision(value < 99.5 ? 2 : 3))
      : value.toExponential(0).replace("-", "\u2212")}%`;
  };

  return class extends Figure {
    label = "A beam search, word by word";
    sheets = ["table", "beam-search"];

    build(data) {
      const { ranked, searches, widths, width, words } = data;
      Object.assign(this, { ranked, widths, words, width, tried: new Set([width]) });
      this.trees = searches.map((steps) => this.tree(steps));
      this.edges = shape("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
      this.places = node("div", { class: "places" });
      this.board = node("div", { class: "board", role: "group",
        "aria-label": "Tree: the arrow keys go to parent, child and neighbours",
        onkeydown: (event) => this.key(event) }, this.edges, this.places);
      this.widthSlider = slider({ label: "beam width", min: 0, max: widths.length - 1,
        value: width, words: (n) => String(widths[n]), onmove: (n) => this.widen(n) });
      this.wordSlider = slider({ label: "words", min: 1, max: 1, value: 1,
        words: (n) => `${n} of ${this.trees[this.width].length - 1}`,
        onmove: (n) => this.grow(n) });
      this.star = node("input", { type: "checkbox", onchange: () => this.draw() });
      this.panel = node("div", { class: "panel" });
      this.found = node("div", { class: "found" });
      this.stage.append(
        node("p", { class: "question" }, "From which width on is a better sentence found than " +
          "by greedy search, width 1? And at which word did greedy search cut it?"),
        node("div", { class: "controls" }, this.widthSlider.element, this.wordSlider.element,
          node("label", { class: "mark" }, this.star, "mark the best that was found so far")),
        node("div", { class: "bench" },
          node("div", { class: "grown" }, node("p", { class: "legend" },
            node("span", { class: "swatch kept" }), "kept ",
            node("span", { class: "swatch cut" }), "cut ",
            node("span", {}, "each with log p of its words so far")), this.board),
          node("div", { class: "side" }, this.panel, this.found)));
      this.shown = this.trees[width].length - 1;
      this.chosen = this.trees[width].at(-1)[0];
      this.draw();
    }

    /** The rows of a tree, the start first; each with its nodes, ranked. */
    tree(steps) {
      const start = { words: [], logs: [], total: 0, kept: true, row: 0, at: 0, children: [],
        finished: false };
      const rows = [[start]];
      steps.forEach((step, n) => {
        const before = rows.at(-1).filter(({ kept }) => kept);
        const row = step.map(([parent, word, total, kept, finished, score = total], rank) => {
          const from = before[parent];
          const carried = from.finished;
          const made = { parent: from, total, score, rank, carried, row: n + 1, children: [],
            kept: Boolean(kept), finished: Boolean(finished),
            words: carried ? from.words : [...from.words, word],
            logs: carried ? from.logs : [...from.logs, total - from.total] };
          from.children.push(made);
          return made;
        });
        // Side by side they stand as their parents do, so that no two lines cross.
        [...row].sort((a, b) => a.parent.at - b.parent.at || a.rank - b.rank)
          .forEach((one, at) => { one.at = at; });
        rows.push(row);
      });
      return rows;
    }

    text(indices) {
      return indices.map((word) => this.words[word]).join(" ");
    }

    best(n) {
      return this.trees[n].at(-1)[0];
    }

    /** The best sentence of all the widths that were tried. */
    record() {
      return [...this.tried].sort((a, b) => a - b).map((n) => this.best(n))
        .reduce((a, b) => (b.score > a.score ? b : a));
    }

    widen(n) {
      const all = this.shown === this.trees[this.width].length - 1;
      this.width = n;
      this.tried.add(n);
      const most = this.trees[n].length - 1;
      this.shown = all ? most : Math.min(this.shown, most);
      this.chosen = this.trees[n][this.shown][0];
      this.draw();
      this.say(`Beam width ${this.widths[n]} finds: ${this.text(this.best(n).words)}, ` +
        `log-probability ${fixed(this.best(n).total)}. ${this.compared()}`);
    }

    grow(n) {
      this.shown = n;
      this.chosen = this.trees[this.width][n][0];
      this.draw();
      const kept = this.trees[this.width][n].filter((one) => one.kept);
      this.say(`After word ${n} are kept: ${kept.map((one) =>
        `${this.text(one.words)}, ${fixed(one.total)}`).join("; ")}.`);
    }

    choose(one, focus = false) {
      this.chosen = one;
      this.draw();
      if (focus) this.buttons.get(one).focus();
      this.say(`${this.text(one.words) || "Start"}. ${this.verdict(one)}`);
    }

    draw() {
      const rows = this.trees[this.width].slice(0, this.shown + 1);
      const columns = Math.max(FEW, ...this.trees[this.width].map((row) => row.length));
      const place = (one) => one.at + (columns - rows[one.row].length) / 2;
      this.widthSlider.show(this.width);
      this.wordSlider.input.max = this.trees[this.width].length - 1;
      this.wordSlider.show(this.shown);
      this.stage.style.setProperty("--columns", columns);
      this.stage.style.setProperty("--rows", rows.length);
      const path = new Set();
      for (let one = this.chosen; one; one = one.parent) path.add(one);
      const record = this.star.checked ? this.record().words.join(" ") : null;
      const stars = (one) => record !== null && one.row > 0 &&
        `${record} `.startsWith(`${one.words.join(" ")} `);
      const hadFocus = this.board.contains(this.shadowRoot.activeElement);
      this.buttons = new Map();
      const lines = [];
      for (const one of rows.flat()) {
        const states = ["node", one.kept ? "kept" : "cut", one.finished && "finished",
          path.has(one) && "path", one === this.chosen && "chosen", stars(one) && "starred"];
        const word = one.row === 0 ? "start" : one.carried ? "done" : this.words[one.words.at(-1)];
        const button = node("button", { type: "button", class: states.filter(Boolean).join(" "),
          style: `left: ${100 * (place(one) + 0.5) / columns}%; top: ${one.row * ROW}px`,
          tabindex: one === this.chosen ? 0 : -1, "aria-pressed": String(one === this.chosen),
          "aria-label": this.named(one, stars(one)), onclick: () => this.choose(one, true) },
        node("span", { class: "word" }, word),
        node("span", { class: "log" }, one.row ? fixed(one.total) : "0"));
        this.buttons.set(one, button);
        if (one.parent) lines.push(this.edge(one, place, path.has(one)));
      }
      this.edges.setAttribute("viewBox", `0 0 ${columns * UNITS} ${rows.length * ROW}`);
      this.edges.replaceChildren(...lines.sort((a, b) => a.above - b.above)
        .map(({ line }) => line));
      this.places.replaceChildren(...this.buttons.values());
      if (hadFocus) this.buttons.get(this.chosen).focus();
      this.drawPanel();
      this.drawFound();
    }

    named(one, starred) {
      if (!one.row) return "start";
      const state = one.kept ? "kept" : "cut";
      return `${this.text(one.words)}${one.carried ? ", done" : ""}: ${fixed(one.total)}, ` +
        `${state}${starred ? ", on the way to the best" : ""}`;
    }

    /** The line from a node to its parent. */
    edge(one, place, onPath) {
      const [from, to] = [one.parent, one].map((end) => UNITS * (place(end) + 0.5));
      const [top, bottom] = [one.parent.row * ROW + 2 * HALF, one.row * ROW];
      const middle = (top + bottom) / 2;
      const line = shape("path", { class: `${one.kept ? "kept" : "cut"}${onPath ? " path" : ""}`,
        d: `M${from} ${top}C${from} ${middle} ${to} ${middle} ${to} ${bottom}` });
      return { line, above: 2 * onPath + one.kept };
    }

    verdict(one) {
      if (!one.row) return "No word yet: log-probability 0, probability 100%.";
      const row = this.trees[this.width][one.row];
      const kept = row.filter((other) => other.kept);
      const by = this.ranked ? `score ${fixed(one.score)}` : `log-probability ${fixed(one.total)}`;
      const rank = `${by}: rank ${one.rank + 1} of the ${row.length} best`;
      return one.kept ? `${rank}, kept.` : `${rank}; cut, as ${kept.length === 1
        ? "only the first is kept" : `only the first ${kept.length} are kept`}.`;
    }

    /** The chosen beginning, with the terms of its sum. */
    drawPanel() {
      const one = this.chosen;
      const head = ["word", "p", "log p"].map((text) => node("th", { scope: "col" }, text));
      const rows = one.words.map((word, n) => node("tr", {},
        node("th", { scope: "row" }, this.words[word]),
        node("td", {}, percent(one.logs[n])), node("td", {}, fixed(one.logs[n]))));
      const sum = node("tr", { class: "sum" }, node("th", { scope: "row" }, "all together"),
        node("td", {}, percent(one.total)), node("td", {}, fixed(one.total)));
      const words = node("table", {},
        node("caption", {}, "The chosen words, each given those before"),
        node("tr", {}, ...head), ...rows, sum);
      this.panel.replaceChildren(words, node("p", { class: "verdict" },
        `${this.verdict(one)[0].toUpperCase()}${this.verdict(one).slice(1)}`));
    }

    /** What each width finds, once it was tried. */
    drawFound() {
      const heads = ["width", "finds", "log p", ...(this.ranked ? ["score"] : [])];
      const rows = this.widths.map((width, n) => {
        const best = this.best(n);
        const known = this.tried.has(n);
        const numbers = [best.total, ...(this.ranked ? [best.score] : [])];
        return node("tr", { class: n === this.width ? "now" : "" },
          node("th", { scope: "row" }, String(width)),
          node("td", { class: "words" }, known ? this.text(best.words) : "not tried yet"),
          ...numbers.map((value) => node("td", {}, known ? fixed(value) : "")));
      });
      this.compare = node("p", { class: "compared" }, this.compared());
      this.found.replaceChildren(node("table", {},
        node("caption", {}, "What each width finds"),
        node("tr", {}, ...heads.map((text) => node("th", { scope: "col" }, text))), ...rows),
      this.compare);
    }

    /** The narrowest beam beside the best that was tried. */
    compared() {
      if (!this.tried.has(0)) return `Width ${this.widths[0]} was not tried yet.`;
      if (this.tried.size === 1) return "Try a wider beam.";
      const [first, record] = [this.best(0), this.record()];
      const name = this.widths[0] === 1 ? "greedy search" : `width ${this.widths[0]}`;
      if (record.score <= first.score) return `Nothing better than by ${name} was found so far.`;
      const times = Math.exp(record.total - first.total);
      const ratio = times >= 1
        ? `${times < 10 ? times.toFixed(2) : times.toFixed(0)} times as probable as`
        : "less probable, but longer, and of a higher score, than";
      const lost = this.trees[0].slice(1).findIndex((row) => !row.some((one) => one.kept &&
        `${record.words.join(" ")} `.startsWith(`${one.words.join(" ")} `)));
      const row = this.trees[0][lost + 1] || [];
      const cut = row.find((one) => one.words.every((word, n) => word === record.words[n]));
      const where = lost < 0 ? "" : `; ${name} cut it at word ${lost + 1}, \u201c${
        this.words[record.words[lost]]}\u201d, ${cut ? `which was ranked ${cut.rank + 1}`
        : `which was not among the best ${count(row.length, "candidate")}`}`;
      return `The best so far is ${ratio} what ${name} finds${where}.`;
    }

    key(event) {
      const { chosen: one } = this;
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const rows = this.trees[this.width];
      const beside = (by) => rows[one.row].find((other) => other.at === one.at + by);
      const child = [...one.children].sort((a, b) => a.rank - b.rank)
        .find((other) => other.row <= this.shown);
      const next = { ArrowUp: one.parent, ArrowDown: child, ArrowLeft: beside(-1),
        ArrowRight: beside(1), Home: rows[0][0], End: rows[this.shown][0] };
      if (!(event.key in next)) return;
      event.preventDefault();
      if (next[event.key]) this.choose(next[event.key], true);
    }
  };
});
