/* <course-overlap-and-distance>: a predicted box that one drags over the true one.
 *
 * Drag the box to move it, a corner to change its size. On the picture the arrow keys move it, and
 * with Shift they move its lower right corner; its coordinates can be typed, and some boxes chosen.
 * Beside it stand IoU and the distances, now and with the box a pixel nearer; every place where it
 * came to rest is a dot over L2 distance and IoU, to which one can go back.
 */
"use strict";

courseFigures.define("course-overlap-and-distance", (course) => {
  const { chart: { Chart, evenly }, Figure, Handles, node, number, overlap, scene, shape,
    slider } = course;

  const QUIET = 600;  // milliseconds without a change, until it is told
  const REACH = 15;  // pixels of the screen around a dot that take it
  const MOST = 60;  // boxes that are remembered
  const NAMES = ["x1", "y1", "x2", "y2"];
  const area = (value) => value.toLocaleString("en-GB", { maximumFractionDigits: 1 });
  const ROWS = {  // what is measured, and how it is written
    iou: ["IoU", (value) => value.toFixed(3)],
    intersection: ["intersection in px\u00b2", area],
    union: ["union in px\u00b2", area],
    l2: ["L2 of the corners in px", (value) => value.toFixed(1)],
    smooth: ["smooth L1 in px", (value) => value.toFixed(1)],
    centres: ["distance of the centres in px", (value) => value.toFixed(1)],
  };
  const same = (a, b) => a.every((value, n) => value === b[n]);

  /** A change with its sign; a true zero has none. */
  function signed(change, write) {
    if (change === 0) return "0";
    const size = write(Math.abs(change));
    const sign = change < 0 ? "\u2212" : "+";
    if (/[1-9]/.test(size)) return `${sign}${size}`;
    return `${change < 0 ? ">" : "<"} ${sign}${size.replace(/0$/, "1")}`;
  }

  return class extends Figure {
    label = "Overlap and distance of two boxes";
    sheets = ["pixels", "scene", "table", "chart", "handles", "overlap-and-distance"];

    build(data) {
      const { scene: { size: [H, W] }, margin, start, truth } = data;
      Object.assign(this, { data, truth, box: [...start], tried: [], at: -1 });
      this.limits = [[-margin, W + margin], [-margin, H + margin]];
      this.stage.append(
        node("div", { class: "bench" },
          node("div", { class: "hand" }, this.board(), this.verdict = node("p", { class: "told" }),
            this.handles.coordinates("the predicted box"),
            ...data.groups.map((group) => this.presets(group))),
          node("div", { class: "readings" }, this.table(), this.scatter())));
      this.remember();
      this.draw();
    }

    /** The picture, both boxes, what they share, and the corners to take hold of. */
    board() {
      const { data } = this;
      this.scene = new scene.Scene(this, data.scene, { margin: data.margin, tabindex: 0,
        role: "application",
        "aria-label": "Boxes: the arrow keys move the predicted one, with Shift its lower right " +
          "corner" });
      this.shared = shape("rect", { class: "shared" });
      this.scene.drawing.append(this.shared);
      this.scene.box("truth", "true", { under: true }).place(this.truth);
      this.drawn = this.scene.box("predicted", "predicted");
      this.handles = new Handles({ board: this.scene, limits: this.limits, step: data.step,
        onmove: (box) => this.take(box), onrest: () => this.settle() });
      return this.scene.element;
    }

    presets({ legend, boxes }) {
      const buttons = Object.entries(boxes).map(([name, box]) => node("button", { type: "button",
        onclick: () => {
          this.take([...box]);
          this.handles.rest();
        } }, name));
      return node("div", { class: "presets", role: "group", "aria-label": legend },
        node("span", { class: "legend" }, legend), ...buttons);
    }

    table() {
      this.cells = {};
      const rows = Object.entries(ROWS).map(([what, [title]]) => {
        this.cells[what] = [node("td"), node("td")];
        return node("tr", { class: what }, node("th", { scope: "row" }, title),
          ...this.cells[what]);
      });
      const heads = ["now", "1 px nearer"].map((text) => node("th", { scope: "col" }, text));
      return node("table", {},
        node("caption", {}, "Now, and the change as the box moves 1 px nearer"),
        node("tr", {}, node("td"), ...heads), ...rows);
    }

    scatter() {
      this.chart = new Chart({ xLabel: "L2 of the corners in px", yLabel: "IoU" });
      this.chart.frame.addEventListener("click", (event) => this.pick(event));
      this.level = node("span", { class: "level", "aria-hidden": "true",
        style: `bottom: ${100 * (this.data.threshold + 0.04) / 1.08}%` },
      `ImageNet: ${number(this.data.threshold)}`);
      this.chart.frame.append(this.level);
      this.back = slider({ label: "box tried", min: 1, max: 1, value: 1,
        onmove: (value) => this.recall(value - 1),
        words: (value) => `${value} of ${Math.max(this.tried.length, 1)}` });
      const forget = node("button", { type: "button", onclick: () => {
        this.tried = [];
        this.remember();
        this.draw();
        this.tellSoon();
      } }, "Forget the others");
      return node("div", { class: "tried" }, this.chart.element,
        node("div", { class: "again" }, this.back.element, forget));
    }

    /** The box on whole steps, as far as it may go. */
    take(box) {
      this.box = box;
      this.at = this.tried.findIndex((one) => same(one, box));
      this.draw();
    }

    /** The box came to rest: remember it, and tell. */
    settle() {
      this.remember();
      this.draw();
      this.tellSoon();
    }

    remember() {
      const { box, tried } = this;
      this.at = tried.findIndex((one) => same(one, box));
      if (this.at >= 0) return;
      tried.push([...box]);
      if (tried.length > MOST) tried.shift();
      this.at = tried.length - 1;
    }

    /** Back to a box that was tried. */
    recall(n) {
      this.take([...this.tried[n]]);
      this.tellSoon();
    }

    /** A press on the chart takes the nearest dot. */
    pick({ clientX, clientY }) {
      const { left, top, width, height } = this.chart.frame.getBoundingClientRect();
      const far = this.tried.map((box) => {
        const [x, y] = this.spot(box);
        return Math.hypot(left + x / 1000 * width - clientX, top + y / 1000 * height - clientY);
      });
      const nearest = far.indexOf(Math.min(...far));
      if (far[nearest] <= REACH) this.recall(nearest);
    }

    spot(box) {
      const { iou, l2 } = overlap.measures(this.truth, box, this.data.beta);
      return this.chart.at(l2, iou);
    }

    tellSoon() {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(this.words()), QUIET);
    }

    draw() {
      const { box, data, truth } = this;
      this.found = overlap.measures(truth, box, data.beta);
      this.then = overlap.measures(truth, overlap.nearer(truth, box), data.beta);
      this.drawn.place(box);
      scene.placeRect(this.shared, overlap.common(truth, box));
      this.handles.show(box);
      for (const [what, [, write]] of Object.entries(ROWS)) {
        const [now, nearer] = this.cells[what];
        now.textContent = write(this.found[what]);
        nearer.textContent = this.found.centres
          ? signed(this.then[what] - this.found[what], write) : "";
      }
      this.verdict.textContent = this.judged();
      this.drawScatter();
    }

    drawScatter() {
      const { back, chart, data, tried, truth } = this;
      const all = [...tried, this.box].map((box) => overlap.measures(truth, box, data.beta));
      const span = Math.max(10, ...all.map(({ l2 }) => l2)) * 1.06;
      chart.scale({ x: [-0.02 * span, span], y: [-0.04, 1.04], xTicks: evenly(0, span),
        yTicks: [0, 0.25, 0.5, 0.75, 1].map((at) => [at, String(at)]) });
      const dot = (box) => `M${this.spot(box).join(" ")}h0`;
      const level = chart.line([[-0.02 * span, data.threshold], [span, data.threshold]]);
      const now = dot(this.box);
      chart.draw(`IoU over L2 of the boxes tried: ${all.slice(0, -1).map(
        ({ iou, l2 }) => `${iou.toFixed(2)} at ${l2.toFixed(0)} px`).join(", ")}`,
      shape("path", { class: "threshold", d: level }),
      shape("path", { class: "dots", d: tried.map(dot).join("") }),
      shape("path", { class: "ring", d: now }), shape("path", { class: "dots now", d: now }));
      back.input.max = tried.length;
      back.show(this.at < 0 ? tried.length : this.at + 1);
    }

    /** What the numbers mean for this box. */
    judged() {
      const { data: { threshold }, found: { iou, l2, centres }, then } = this;
      const size = `IoU ${iou.toFixed(3)}, L2 ${l2.toFixed(1)} px`;
      if (iou === 0 && then.iou === 0) {
        return `${size}. The boxes do not meet: a pixel nearer, IoU is still 0 and has no ` +
          `gradient, but L2 is ${(l2 - then.l2).toFixed(1)} px less.`;
      }
      if (iou === 1 && !centres) return `${size}: the boxes are the same.`;
      const right = iou >= threshold;
      return `${size}. ImageNet counts this box as ${right ? "right" : "wrong"}: IoU is ` +
        `${right ? "at least" : "below"} ${number(threshold)}.`;
    }

    words() {
      const box = NAMES.map((name, n) => `${name} ${number(this.box[n], 6)}`).join(", ");
      return `The predicted box is ${box}. ${this.judged()}`;
    }
  };
});
