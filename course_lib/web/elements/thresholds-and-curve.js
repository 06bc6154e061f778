/* <course-thresholds-and-curve>: the thresholds of a detector, its boxes, and its curve.
 *
 * Sliders move the threshold of suppression and that of the score; choose a scene, the overlap that
 * is enough, a class, or settings by name. A press on the curve takes the score of its nearest
 * point. The scene shows what each box is: a hit, a double, a false alarm; and the missed objects.
 */
"use strict";

courseFigures.define("course-thresholds-and-curve", (course) => {
  const { chart: { Chart }, choices, detections, Figure, labels, node, number, pixels,
    scene, shape, slider } = course;

  const QUIET = 600;  // milliseconds without a change, until it is told
  const REACH = 40;  // pixels of the screen around a point of the curve that a press may miss
  const CORNERS = [{}, { right: true }, { under: true }, { under: true, right: true }];
  const EVERY = "every class";
  const ROWS = {  // what a box, or an object, can be: how it is called, and the sign at its flag
    hit: ["hits", "\u2713"],
    double: ["doubles", "2\u00d7"],
    alarm: ["false alarms", "\u2717"],
    missed: ["missed objects", "missed"],
    dropped: ["dropped by NMS", ""],
  };
  const short = (share) => share.toFixed(2);
  const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom &&
    b.top < a.bottom;

  return class extends Figure {
    label = "Thresholds of a detector, its boxes and its curve";
    sheets = ["pixels", "choices", "scene", "table", "chart", "thresholds-and-curve"];

    build(data) {
      Object.assign(this, { data, ...data.start, only: EVERY, scenes: new Map() });
      const rows = (flat, width, read) => flat.flatMap((numbers, image) =>
        Array.from({ length: numbers.length / width }, (_, n) =>
          ({ image, ...read(numbers.slice(width * n, width * (n + 1))) })));
      const read = ([label, ...box]) => ({ label, box: box.map((at) => at / 100) });
      this.objects = rows(data.truth, 5, read);
      const found = rows(data.found, 6, ([score, ...rest]) => ({ score, ...read(rest) }));
      this.groups = detections.grouped(found, this.objects);
      this.classes = [...new Set(this.objects.map(({ label }) => label))].sort((a, b) => a - b);
      this.board = node("div", { class: "board" });
      this.told = node("p", { class: "told" });
      this.stage.append(...this.controls(),
        node("div", { class: "bench" },
          this.board, node("div", { class: "line" }, this.curve(), this.told), this.counts(),
          this.averages()));
      this.draw();
      new ResizeObserver(() => this.unpile()).observe(this.board);
    }

    controls() {
      const { data } = this;
      const take = (name) => (value) => this.take({ [name]: value });
      this.sliders = {
        nms: slider({ label: "NMS threshold", min: 0, max: 20, value: this.nms,
          words: (stop) => (stop === 20 ? "1: none" : short(stop / 20)), onmove: take("nms") }),
        score: slider({ label: "score threshold", min: 0, max: data.stops.length - 1,
          value: this.score, words: (stop) => this.written(data.stops[stop]),
          onmove: take("score") }),
      };
      const picture = choices({ legend: "scene", name: "scene", value: this.image,
        options: data.scenes.map((one, value) =>
          ({ value, text: `scene ${value + 1}`, face: this.face(one) })),
        onchoose: take("image") });
      this.enough = choices({ legend: "IoU that is enough", name: "enough", value: this.iou,
        options: [0.5, 0.75].map((value) => ({ value, text: short(value) })),
        onchoose: take("iou") });
      const options = [EVERY, ...this.classes].map((value) => node("option", { value },
        value === EVERY ? value : data.names[value]));
      this.pick = node("select", { id: "class", onchange: ({ target: { value } }) =>
        this.take({ only: value === EVERY ? value : Number(value) }) }, ...options);
      const several = this.classes.length > 1
        ? [node("label", { class: "pick", for: "class" }, "class ", this.pick)] : [];
      this.faces = picture.boxes;
      const presets = data.presets.map(([name, change]) =>
        node("button", { type: "button", onclick: () => this.take(change) }, name));
      return [picture.element,
        node("div", { class: "ways" },
          ...Object.values(this.sliders).map(({ element }) => element),
          this.enough.element, ...several),
        ...(presets.length ? [node("div", { class: "presets", role: "group",
          "aria-label": "Settings" }, ...presets)] : [])];
    }

    /** A small picture of a scene. */
    face({ ink, photograph, shape: sizes }) {
      if (photograph) return node("img", { class: "picture", src: photograph, alt: "" });
      const picture = new pixels.Picture(sizes[1], sizes[0]);
      const found = labels.levels(ink);
      setTimeout(() => pixels.followTheme(this, ["ink"], (colours) =>
        picture.paint((i) => [colours.ink, found[i]])));
      return picture.element;
    }

    /** The table of what the boxes are, in this scene and in all of them. */
    counts() {
      this.cells = {};
      const rows = Object.entries(ROWS).map(([kind, [name]]) => {
        this.cells[kind] = [node("td"), node("td")];
        const swatch = shape("svg", { class: `swatch box ${kind}`, "aria-hidden": "true" },
          shape("rect", { class: "edge", x: 2, y: 2, width: 22, height: 11 }));
        return node("tr", {}, node("th", { scope: "row" }, swatch, name), ...this.cells[kind]);
      });
      this.shown = node("input", { type: "checkbox", onchange: () => this.take({}) });
      const heads = ["this scene", `all ${this.data.truth.length}`].map((text) =>
        node("th", { scope: "col" }, text));
      return node("div", { class: "counts" },
        node("table", {}, node("caption", {}, "Boxes from the score threshold on, and objects"),
          node("tr", {}, node("td"), ...heads), ...rows),
        node("label", { class: "choice" }, this.shown, "show what NMS drops"));
    }

    curve() {
      this.chart = new Chart({ xLabel: "recall", yLabel: "precision" });
      const ticks = [0, 0.25, 0.5, 0.75, 1].map((at) => [at, String(at)]);
      this.chart.scale({ x: [0, 1.02], y: [0, 1.04], xTicks: ticks, yTicks: ticks });
      this.chart.frame.addEventListener("click", (event) => this.press(event));
      const keys = { curve: "curve", envelope: "envelope", eleven: "its 11 points",
        here: "score threshold" };
      return node("div", {}, this.chart.element, node("div", { class: "keys" },
        ...Object.entries(keys).map(([name, text]) =>
          node("span", { class: `key ${name}` }, text))));
    }

    averages() {
      const names = { whole: "of the whole curve", cut: "up to the threshold" };
      if (this.classes.length > 1) names.mean = "mean of the classes";
      this.values = {};
      const rows = Object.entries(names).map(([name, text]) => {
        this.values[name] = [node("td"), node("td")];
        return node("tr", { class: name }, node("th", { scope: "row" }, text),
          ...this.values[name]);
      });
      const heads = ["area", "11 points"].map((text) => node("th", { scope: "col" }, text));
      return node("div", { class: "averages" },
        node("table", {}, node("caption", {}, "Average precision"),
          node("tr", {}, node("td"), ...heads), ...rows));
    }

    /** A score as it is written. */
    written(millionths) {
      return (millionths / 1e6).toFixed(2).replace("-", "\u2212");
    }

    take(change) {
      Object.assign(this, change);
      this.draw();
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(this.words()), QUIET);
    }

    /** A press near the curve takes the threshold that ends there. */
    press({ clientX, clientY }) {
      const { left, top, width, height } = this.chart.frame.getBoundingClientRect();
      const far = this.points.map(({ precision, recall }) => {
        const [x, y] = this.chart.at(recall, precision);
        return Math.hypot(left + x / 1000 * width - clientX, top + y / 1000 * height - clientY);
      });
      const nearest = far.indexOf(Math.min(...far));
      if (!(far[nearest] <= REACH)) return;
      const { score } = this.points[nearest];
      this.take({ score: Math.max(0, this.data.stops.findLastIndex((stop) => stop <= score)) });
    }

    draw() {
      const { data, only } = this;
      const mine = ({ label }) => only === EVERY || label === only;
      this.stop = data.stops[this.score];
      this.all = this.judged().filter(mine);
      this.mine = this.objects.filter(mine);
      this.points = detections.curve(this.all, this.mine.length);
      this.cut = this.points.filter(({ score }) => score >= this.stop);
      for (const [name, { show }] of Object.entries(this.sliders)) show(this[name]);
      for (const [value, label] of this.enough.boxes) {
        label.querySelector("input").checked = value === this.iou;
      }
      for (const [value, label] of this.faces) {
        label.querySelector("input").checked = value === this.image;
      }
      this.drawScene();
      this.drawCounts();
      this.drawCurve();
      this.drawAverages();
      this.told.textContent = this.summary();
    }

    /** All detections, each with what it is: anew where these thresholds have moved. */
    judged() {
      const key = `${this.nms} ${this.iou}`;
      if (this.key !== key) {
        this.memo = this.groups.flatMap((group) =>
          detections.judged(group, this.nms / 20, this.iou));
        this.key = key;
      }
      return this.memo;
    }

    /** What is shown, by what it is: of one image, or of all. */
    sorted(image = null) {
      const here = (one) => image === null || one.image === image;
      const over = this.all.filter((one) => one.score >= this.stop && here(one));
      const kinds = Object.fromEntries(detections.KINDS.map((kind) =>
        [kind, over.filter((one) => one.kind === kind)]));
      const seen = new Set(kinds.hit.map(({ object }) => object));
      const objects = this.mine.filter(here);
      kinds.missed = objects.filter((object) => !seen.has(object));
      kinds.seen = objects.filter((object) => seen.has(object));
      return kinds;
    }

    drawScene() {
      const { data, image, scenes } = this;
      if (!scenes.has(image)) scenes.set(image, new scene.Scene(this, data.scenes[image]));
      const board = scenes.get(image);
      if (board.element.parentNode !== this.board) this.board.replaceChildren(board.element);
      board.drawing.replaceChildren();
      board.flags.replaceChildren();
      const kinds = this.sorted(image);
      const order = ["seen", "missed", "alarm", "double", "hit"];
      if (this.shown.checked) order.unshift("dropped");
      this.flags = [];
      for (const kind of order) {
        for (const one of kinds[kind]) {
          const sign = ROWS[kind]?.[1];
          const drawn = board.box(kind, sign && this.flagText(sign, one));
          drawn.place(one.box);
          if (sign) this.flags.push({ flag: drawn.flag, box: one.box });
        }
      }
      this.flags.reverse();  // the hits are named first
      this.unpile();
    }

    flagText(sign, { label, score }) {
      const one = this.classes.length > 1 ? this.data.names[label] : score && this.written(score);
      return [sign, one].filter(Boolean).join(" ");
    }

    /** Hang each flag at a corner where it stays inside and covers no other, or hide it. */
    unpile() {
      const board = this.scenes.get(this.image);
      const { left, right } = this.board.getBoundingClientRect();
      const hung = [];
      for (const { flag, box } of this.flags) {
        flag.hidden = false;
        flag.hidden = !CORNERS.some((corner) => {
          board.hang(flag, box, corner);
          const place = flag.getBoundingClientRect();
          const inside = place.left >= left && place.right <= right;
          const free = inside && !hung.some((other) => meets(place, other));
          if (free) hung.push(place);
          return free;
        });
      }
    }

    drawCounts() {
      [this.sorted(this.image), this.sorted()].forEach((kinds, column) => {
        for (const kind of Object.keys(ROWS)) {
          this.cells[kind][column].textContent = kinds[kind].length;
        }
      });
    }

    drawCurve() {
      const { chart, cut, points } = this;
      const best = detections.envelope(points);
      const dots = (pairs) => pairs.map((pair) => `M${chart.at(...pair).join(" ")}h0`).join("");
      const steps = points.flatMap(({ recall }, n) =>
        [[n ? points[n - 1].recall : 0, best[n]], [recall, best[n]]]);
      const plain = points.map(({ precision, recall }) => [recall, precision]);
      const last = cut.at(-1);
      const here = last ? dots([[last.recall, last.precision]]) : "";
      chart.draw(this.curveWords(),
        shape("path", { class: "under", d: steps.length
          ? chart.band(steps.map(([recall]) => [recall, 0]), steps) : "" }),
        shape("path", { class: "envelope", d: chart.line(steps) }),
        shape("path", { class: "curve", d: chart.line(plain) }),
        shape("path", { class: "eleven", d: dots(detections.elevenPoints(points)) }),
        shape("path", { class: "ring", d: here }), shape("path", { class: "here", d: here }));
    }

    curveWords() {
      const last = this.points.at(-1);
      if (!last) return "Precision over recall: no box.";
      return `Precision over recall, of ${this.points.length} boxes: at last precision ` +
        `${short(last.precision)}, recall ${short(last.recall)}.`;
    }

    drawAverages() {
      const mean = (label) => {
        const [found, objects] = [this.judged(), this.objects].map((all) =>
          all.filter((one) => one.label === label));
        return detections.averagePrecision(detections.curve(found, objects.length));
      };
      this.average = { whole: detections.averagePrecision(this.points),
        cut: detections.averagePrecision(this.cut) };
      if (this.values.mean) {
        const every = this.classes.map(mean);
        this.average.mean = Object.fromEntries(["area", "eleven"].map((name) =>
          [name, every.reduce((sum, one) => sum + one[name], 0) / every.length]));
      }
      for (const [name, [area, eleven]] of Object.entries(this.values)) {
        area.textContent = this.average[name].area.toFixed(3);
        eleven.textContent = this.average[name].eleven.toFixed(3);
      }
    }

    summary() {
      const last = this.cut.at(-1);
      const from = `At scores of ${this.written(this.stop)} and more`;
      if (!last) return `${from} there is no box: recall 0, and no precision.`;
      const kinds = this.sorted();
      const hits = kinds.hit.length;
      return `${from}: precision ${number(hits)}/${this.cut.length} = ${short(last.precision)}, ` +
        `recall ${hits}/${this.mine.length} = ${short(last.recall)}.`;
    }

    words() {
      const kinds = this.sorted(this.image);
      const found = Object.entries(ROWS).map(([kind, [name]]) => `${name} ${kinds[kind].length}`);
      return `Scene ${this.image + 1}: ${found.join(", ")}. ${this.summary()} ` +
        `Average precision ${this.average.whole.area.toFixed(3)} as area, ` +
        `${this.average.whole.eleven.toFixed(3)} at 11 points.`;
    }
  };
});
