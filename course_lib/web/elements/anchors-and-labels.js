/* <course-anchors-and-labels>: the anchors of a map over a scene, and what they are to learn.
 *
 * Every cell has a mark: whether one of its anchors stands for an object, some are left aside, or
 * all are background. Press the scene, use the arrow keys or two sliders to choose a cell, and see
 * its anchors with their overlaps. Sliders move the two thresholds; two boxes to tick change the
 * rules.
 */
"use strict";

courseFigures.define("course-anchors-and-labels", (course) => {
  const { anchors, chart: { Chart }, Figure, node, scene, shape, slider } = course;

  const QUIET = 600;  // milliseconds without a change, until it is told
  const STILL = 8;  // pixels of the screen that a press may slip
  const STOPS = 20;  // of a threshold, from 0 to 1
  const BARS = 20;
  const LOW = -0.4;  // where the bars stand: a count of 1 is at 0, and has a height too
  const KINDS = {  // what an anchor can be: how it is called
    object: "object",
    aside: "ignored",
    background: "background",
    out: "across the border",
  };
  const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const short = (share) => share.toFixed(2);
  const kindOf = ({ label, out }) => (out ? "out" : ["aside", "background", "object"][label + 1]);

  return class extends Figure {
    label = "Anchors and what they stand for";
    sheets = ["pixels", "scene", "table", "chart", "anchors-and-labels"];

    build(data) {
      const { cells: [h, w], names, shapes, stride, truth } = data;
      Object.assign(this, { data, h, w, names, shapes, truth, positive: data.positive,
        negative: data.negative, best: data.best, border: data.border, cell: data.cell });
      this.all = anchors.grid([h, w], stride, shapes);
      this.ious = anchors.overlaps(this.all, truth);
      this.within = anchors.inside(this.all, data.scene.size);
      this.told = node("p", { class: "told" });
      this.stage.append(this.controls(), node("div", { class: "bench" },
        node("div", { class: "board" }, this.board(), this.told),
        node("div", { class: "cell" }, this.places(), this.cellTable()),
        node("div", { class: "counts" }, this.countTable(), this.objectTable()),
        node("div", { class: "spread" }, this.histogram())));
      this.draw();
    }

    controls() {
      const threshold = (name, label) => slider({ label, min: 0, max: STOPS, value: this[name],
        words: (stop) => short(stop / STOPS), onmove: (stop) => this.move(name, stop) });
      this.sliders = { positive: threshold("positive", "object above"),
        negative: threshold("negative", "background below") };
      const box = (name, text) => {
        const input = node("input", { type: "checkbox", checked: this[name],
          onchange: () => this.take({ [name]: input.checked }) });
        return node("label", { class: "choice" }, input, text);
      };
      return node("div", { class: "controls" },
        ...Object.values(this.sliders).map(({ element }) => element),
        box("best", "the best anchors of each object are objects"),
        box("border", "leave out anchors across the border"));
    }

    board() {
      this.scene = new scene.Scene(this, this.data.scene, { tabindex: 0, role: "application",
        "aria-label": "Scene: the arrow keys choose a cell of the map",
        onkeydown: (event) => this.key(event), onpointerup: (event) => this.press(event),
        onpointerdown: ({ clientX, clientY }) => { this.pressed = [clientX, clientY]; },
        onpointercancel: () => { this.pressed = null; } });
      this.marks = shape("g", { class: "marks" });
      this.here = shape("rect", { class: "here" });
      this.scene.drawing.append(this.marks);
      this.truth.forEach((box, n) =>
        this.scene.box("truth", this.names[n], { under: true }).place(box));
      this.drawn = this.shapes.map(() => this.scene.box("anchor"));
      this.scene.drawing.append(this.here);
      return this.scene.element;
    }

    /** Sliders for the row and the column of the cell. */
    places() {
      this.steps = ["row", "column"].map((label, axis) => {
        const most = [this.h, this.w][axis];
        return slider({ label, min: 0, max: most - 1, value: this.cell[axis],
          words: (value) => `${value} (0 to ${most - 1})`,
          onmove: (value) => this.go(this.cell.with(axis, value)) });
      });
      return node("div", { class: "steps" }, ...this.steps.map(({ element }) => element));
    }

    cellTable() {
      this.rows = this.shapes.map(([x1, y1, x2, y2]) => {
        const size = [x2 - x1, y2 - y1].map((side) => Number(side.toFixed(1))).join(" \u00d7 ");
        const parts = { swatch: this.swatch("background"), iou: node("td"), label: node("td") };
        parts.row = node("tr", {}, node("th", { scope: "row" }, parts.swatch, size), parts.iou,
          parts.label);
        return parts;
      });
      const heads = ["IoU", "stands for"].map((text) => node("th", { scope: "col" }, text));
      return node("table", {},
        node("caption", {}, "Anchors of the cell, width \u00d7 height in px"),
        node("tr", {}, node("td"), ...heads), ...this.rows.map(({ row }) => row));
    }

    swatch(kind) {
      return shape("svg", { class: `swatch box ${kind}`, "aria-hidden": "true" },
        shape("rect", { class: "edge", x: 2, y: 2, width: 22, height: 11 }));
    }

    countTable() {
      this.counts = {};
      const rows = Object.entries(KINDS).map(([kind, text]) => {
        this.counts[kind] = node("td");
        const mark = shape("svg", { class: "mark", viewBox: "-1 -1 2 2", "aria-hidden": "true" },
          ...this.markOf(kind, 0, 0, 1.6));
        return node("tr", { class: kind }, node("th", { scope: "row" }, mark, text),
          this.counts[kind]);
      });
      const all = this.all.length.toLocaleString("en-GB");
      return node("table", {}, node("caption", {}, `All ${all} anchors; the mark of a cell is ` +
        "that of the first of these that it has"), ...rows);
    }

    objectTable() {
      this.objects = this.truth.map(() => [node("td"), node("td")]);
      const rows = this.objects.map((cells, n) =>
        node("tr", {}, node("th", { scope: "row" }, this.names[n]), ...cells));
      const heads = ["largest IoU", "anchors"].map((text) => node("th", { scope: "col" }, text));
      if (!rows.length) return node("p", {}, "There is no object: all is background.");
      return node("table", {}, node("caption", {}, "Objects, and the anchors that stand for them"),
        node("tr", {}, node("td"), ...heads), ...rows);
    }

    histogram() {
      this.chart = new Chart({ xLabel: "largest IoU of an anchor", yLabel: "anchors" });
      const most = Math.log10(this.all.length) + 0.1;
      const decades = Array.from({ length: Math.ceil(most) }, (_, n) => [n, String(10 ** n)]);
      this.chart.scale({ x: [0, 1], y: [LOW, most], yTicks: decades,
        xTicks: [0, 0.2, 0.4, 0.6, 0.8, 1].map((at) => [at, String(at)]) });
      this.lines = { negative: node("span", { class: "level negative" }, "background"),
        positive: node("span", { class: "level positive" }, "object") };
      for (const line of Object.values(this.lines)) line.setAttribute("aria-hidden", "true");
      this.chart.frame.append(...Object.values(this.lines));
      return this.chart.element;
    }

    /** Move a threshold; the other gives way. */
    move(name, stop) {
      const change = { [name]: stop };
      if (name === "positive") change.negative = Math.min(this.negative, stop);
      else change.positive = Math.max(this.positive, stop);
      this.take(change);
    }

    take(change) {
      Object.assign(this, change);
      this.draw();
      this.tellSoon(() => this.summary());
    }

    key(event) {
      const way = KEYS[event.key];
      if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.go(this.cell.map((at, axis) => at + way[axis]));
    }

    press(event) {
      const { pressed } = this;
      this.pressed = null;
      if (!pressed || Math.hypot(pressed[0] - event.clientX, pressed[1] - event.clientY) > STILL) {
        return;
      }
      const [x, y] = this.scene.at(event);
      const { stride: [down, right] } = this.data;
      this.go([Math.floor(y / down), Math.floor(x / right)]);
    }

    /** Choose the nearest cell that there is. */
    go([r, c]) {
      this.cell = [clamp(r, 0, this.h - 1), clamp(c, 0, this.w - 1)];
      this.draw();
      this.tellSoon(() => this.told.textContent);
    }

    tellSoon(words) {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(words()), QUIET);
    }

    draw() {
      const { best, border, ious, negative, positive, within } = this;
      const mine = border ? within : within.map(() => true);
      this.found = anchors.matched(ious, { best, mine, negative: negative / STOPS,
        positive: positive / STOPS });
      for (const [name, { show }] of Object.entries(this.sliders)) show(this[name]);
      this.steps.forEach(({ show }, axis) => show(this.cell[axis]));
      this.drawMarks();
      this.drawCell();
      this.drawCounts();
      this.drawHistogram();
      this.told.textContent = this.cellWords();
    }

    /** The anchors of a cell, with their numbers. */
    of([r, c]) {
      const A = this.shapes.length;
      const first = (r * this.w + c) * A;
      return this.found.slice(first, first + A).map((one, k) => ({ ...one, n: first + k }));
    }

    drawMarks() {
      const { stride: [down, right] } = this.data;
      const order = Object.keys(KINDS);
      const marks = [];
      for (let r = 0; r < this.h; r++) {
        for (let c = 0; c < this.w; c++) {
          const kinds = this.of([r, c]).map(kindOf);
          const kind = order.find((one) => kinds.includes(one));
          const made = this.markOf(kind, (c + 0.5) * right, (r + 0.5) * down,
            Math.min(down, right));
          made.forEach((part) => part.setAttribute("data-cell", `${r},${c}`));
          marks.push({ made, at: order.length - order.indexOf(kind) });
        }
      }
      marks.sort((a, b) => a.at - b.at);
      this.marks.replaceChildren(...marks.flatMap(({ made }) => made));
    }

    /** A filled square, a ring, a dot, a cross: what is at a cell, of this size. */
    markOf(kind, x, y, size) {
      const half = 0.2 * size;
      const attributes = { class: `at ${kind}` };
      if (kind === "object") {
        return [shape("rect", { ...attributes, x: x - half, y: y - half, width: 2 * half,
          height: 2 * half })];
      }
      if (kind === "aside") return [shape("circle", { ...attributes, cx: x, cy: y, r: half })];
      const side = 2 * half;
      const d = kind === "background" ? `M${x} ${y}h0`
        : `M${x - half} ${y - half}l${side} ${side}m0 ${-side}l${-side} ${side}`;
      return [shape("path", { ...attributes, d })];
    }

    drawCell() {
      const { all, data: { stride: [down, right] }, cell: [r, c], drawn, rows } = this;
      scene.placeRect(this.here, [c * right, r * down, (c + 1) * right, (r + 1) * down]);
      this.of(this.cell).forEach((one, k) => {
        const kind = kindOf(one);
        drawn[k].place(all[one.n]);
        drawn[k].element.setAttribute("class", `box anchor ${kind}`);
        rows[k].swatch.setAttribute("class", `swatch box ${kind}`);
        rows[k].iou.textContent = short(one.iou);
        rows[k].label.textContent = this.meaning(one);
      });
    }

    meaning(one) {
      const kind = kindOf(one);
      if (kind !== "object") return KINDS[kind];
      return `${this.names[one.index]}${one.raised ? ", as its best" : ""}`;
    }

    drawCounts() {
      const { found, ious, truth } = this;
      const kinds = found.map(kindOf);
      this.total = Object.fromEntries(Object.keys(KINDS).map((kind) =>
        [kind, kinds.filter((one) => one === kind).length]));
      this.raised = found.filter(({ raised }) => raised).length;
      for (const [kind, cell] of Object.entries(this.counts)) {
        cell.textContent = this.total[kind];
      }
      if (this.raised) this.counts.object.append(`, ${this.raised} of them as the best only`);
      this.lonely = 0;
      truth.forEach((_, k) => {
        const [largest, count] = this.objects[k];
        const best = Math.max(0, ...ious.map((row, n) => (found[n].out ? 0 : row[k])));
        const anchors = found.filter(({ index, label }) => label === 1 && index === k).length;
        largest.textContent = short(best);
        count.textContent = anchors;
        this.lonely += !anchors;
      });
    }

    drawHistogram() {
      const { chart, found, lines } = this;
      const heights = new Array(BARS).fill(0);
      for (const { iou, out } of found) {
        if (!out) heights[Math.min(Math.floor(iou * BARS), BARS - 1)] += 1;
      }
      const bars = heights.flatMap((height, n) => {
        if (!height) return [];
        const [left, bottom] = chart.at((n + 0.06) / BARS, LOW);
        const [right, top] = chart.at((n + 0.94) / BARS, Math.log10(height));
        return [`M${left} ${bottom}V${top}H${right}V${bottom}z`];
      });
      const line = (stop) => chart.line([[stop / STOPS, LOW], [stop / STOPS, chart.y[1]]]);
      chart.draw(`Largest IoU of all anchors: ${heights.map((height, n) => (height
        ? `${height} from ${short(n / BARS)}` : "")).filter(Boolean).join(", ")}`,
      shape("path", { class: "bars", d: bars.join("") }),
      shape("path", { class: "threshold negative", d: line(this.negative) }),
      shape("path", { class: "threshold positive", d: line(this.positive) }));
      lines.negative.style.right = `${100 - 100 * this.negative / STOPS}%`;
      lines.positive.style.left = `${100 * this.positive / STOPS}%`;
      lines.negative.hidden = this.negative / STOPS < 0.28;
      lines.positive.hidden = this.positive / STOPS > 0.82;
    }

    summary() {
      const { lonely, total, truth } = this;
      const out = total.out ? `, ${total.out} across the border left out` : "";
      const alone = truth.length ? ` ${lonely} of ${truth.length} objects have no anchor.` : "";
      return `${total.object} anchors stand for an object, ${this.raised} of them as the best ` +
        `only; ${total.aside} are ignored, ${total.background} are background${out}.${alone}`;
    }

    cellWords() {
      const [r, c] = this.cell;
      const kinds = this.of(this.cell);
      const best = kinds.reduce((a, b) => (b.iou > a.iou ? b : a));
      const whose = best.index < 0 ? "" : ` with ${this.names[best.index]}`;
      const counts = Object.keys(KINDS).map((kind) =>
        [kinds.filter((one) => kindOf(one) === kind).length, KINDS[kind]]).filter(([n]) => n);
      return `Row ${r}, column ${c}: ${counts.map((pair) => pair.join(" ")).join(", ")}; ` +
        `largest IoU ${short(best.iou)}${whose}.`;
    }
  };
});
