/* <course-window-and-box>: the window of a dense evaluation, and the box that it answers with.
 *
 * Drag the window over the scene, move it with the arrow keys or the sliders, or press a cell of
 * the map of scores. Two boxes to tick show the windows and the boxes of all cells whose score
 * reaches a threshold; a slider moves that, and the merged box with it.
 */
"use strict";

courseFigures.define("course-window-and-box", (course) => {
  const { count, Figure, node, overlap, scene, shape, slider } = course;

  const QUIET = 600;  // milliseconds without a change, until it is told
  const STILL = 8;  // pixels of the screen that a press may slip
  const ABOUT = 0.01;  // what scores may differ and still count as equal
  const CELL = 10;  // units of the map's drawing
  const NUMBERED = 10;  // columns up to which the scores are written in the map
  const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const short = (score) => score.toFixed(2);
  const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const pixels = (length) => `${Number(length.toFixed(1))} px`;
  const mean = (points) => [0, 1].map((axis) =>
    points.reduce((sum, point) => sum + point[axis], 0) / points.length);

  return class extends Figure {
    label = "A window, and the box that it answers with";
    sheets = ["pixels", "scene", "window-and-box"];

    build(data) {
      const { boxes, scores, shape: [h, w], stop, truth } = data;
      Object.assign(this, { data, h, w, stop, truth, scores: scores.map((score) => score / 1000) });
      this.boxes = this.scores.map((_, i) => boxes.slice(4 * i, 4 * i + 4).map((at) => at / 10));
      this.cell = this.surest();
      this.stage.append(node("div", { class: "bench" },
        node("div", {}, this.board(), this.told = node("p", { class: "told" })),
        node("div", {}, this.map(), this.controls(),
          this.summary = node("p", { class: "summary" }))));
      this.draw();
    }

    /** The middle one of the cells with about the best score. */
    surest() {
      const { scores, w } = this;
      const best = Math.max(...scores);
      const cells = scores.flatMap((score, i) =>
        (score >= best - ABOUT ? [[Math.floor(i / w), i % w]] : []));
      const far = cells.map((cell) => apart(cell, mean(cells)));
      return cells[far.indexOf(Math.min(...far))];
    }

    board() {
      const { data, truth } = this;
      this.scene = new scene.Scene(this, data.scene, { tabindex: 0, role: "application",
        "aria-label": "Scene: the arrow keys move the window by one cell",
        onkeydown: (event) => this.key(event), onpointerup: (event) => this.jump(event),
        onpointerdown: ({ clientX, clientY }) => { this.pressed = [clientX, clientY]; },
        onpointercancel: () => { this.pressed = null; } });
      const { drawing } = this.scene;
      this.all = { windows: shape("g"), boxes: shape("g") };
      drawing.append(this.all.windows, this.all.boxes);
      truth.forEach((box) => this.scene.box("truth", "true").place(box));
      const most = Math.max(...data.merged.map((boxes) => boxes.length));
      this.merged = Array.from({ length: most }, () =>
        this.scene.box("merged", "merged", { under: true, right: true }));
      this.window = this.scene.box("window", "window", { under: true });
      this.answer = this.scene.box("predicted", "box", { right: true });
      this.body = node("span", { class: "body", onpointerdown: (event) => this.grasp(event),
        onpointermove: (event) => this.drag(event), onpointerup: () => { this.held = null; },
        onpointercancel: () => { this.held = null; } });
      this.scene.element.append(this.body);
      return this.scene.element;
    }

    /** The map of scores, a cell for each window. */
    map() {
      const { h, w } = this;
      this.cells = this.scores.map((score, i) => shape("rect", { x: CELL * (i % w),
        y: CELL * Math.floor(i / w), width: CELL, height: CELL, class: "cell",
        style: `--share: ${Math.round(100 * score)}%` }));
      const written = w > NUMBERED ? [] : this.scores.map((score, i) => shape("text", {
        x: CELL * (i % w + 0.5), y: CELL * (Math.floor(i / w) + 0.64), class: "score" },
      short(score).replace(/^0/, "")));
      this.over = shape("path", { class: "over" });
      this.here = shape("rect", { width: CELL, height: CELL, class: "here" });
      const drawing = shape("svg", { viewBox: `-1 -1 ${CELL * w + 2} ${CELL * h + 2}`,
        "aria-hidden": "true", onclick: (event) => this.choose(event) },
      ...this.cells, ...written, this.over, this.here);
      return node("figure", {},
        node("figcaption", {}, "Scores of the windows; framed: at the threshold or above"),
        node("div", { class: "map", tabindex: 0, role: "application",
          style: `max-width: ${Math.max(w * 44, 88)}px`,
          "aria-label": "Map of scores: the arrow keys choose a cell",
          onkeydown: (event) => this.key(event) }, drawing));
    }

    controls() {
      const { data, h, w } = this;
      const control = (label, most, axis) => slider({ label, min: 1, max: most,
        value: this.cell[axis] + 1, words: (value) => `${value} of ${most}`,
        onmove: (value) => this.go(this.cell.with(axis, value - 1)) });
      this.sliders = [control("row", h, 0), control("column", w, 1)];
      this.level = slider({ label: "threshold", min: 0, max: data.stops.length - 1,
        value: this.stop, words: (stop) => short(data.stops[stop]), onmove: (stop) => {
          this.stop = stop;
          this.draw();
          this.tellSoon(() => this.summary.textContent);
        } });
      const box = (text) => {
        const input = node("input", { type: "checkbox", onchange: () => {
          this.draw();
          this.tellSoon(() => this.summary.textContent);
        } });
        return { input, element: node("label", { class: "choice" }, input, text) };
      };
      this.show = { windows: box("all windows"), boxes: box("all boxes"),
        merged: box("merged box") };
      return node("div", { class: "sliders" },
        ...[...this.sliders, this.level].map(({ element }) => element),
        node("div", { class: "choices" },
          ...Object.values(this.show).map(({ element }) => element)));
    }

    /** The window of cell [row, column], in pixels of the scene. */
    windowOf([r, c]) {
      const { origin: [x, y], stride, window: [height, width] } = this.data;
      const [left, top] = [x + stride[1] * c, y + stride[0] * r];
      return [left, top, left + width, top + height];
    }

    index([r, c]) {
      return r * this.w + c;
    }

    key(event) {
      const way = KEYS[event.key];
      if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.go(this.cell.map((at, axis) => at + way[axis]));
    }

    /** Take the nearest cell that there is; what moved is counted from `from`. */
    go(to, from = this.cell) {
      const ends = [this.h, this.w];
      const cell = to.map((at, axis) => clamp(at, 0, ends[axis] - 1));
      if (this.index(cell) === this.index(this.cell)) return;
      this.from = from;
      this.cell = cell;
      this.draw();
      this.tellSoon(() => this.told.textContent);
    }

    /** The cell whose window is the nearest to one with this upper left corner. */
    nearest([x, y]) {
      const { origin, stride } = this.data;
      return [(y - origin[1]) / stride[0], (x - origin[0]) / stride[1]].map(Math.round);
    }

    grasp(event) {
      event.preventDefault();
      this.body.setPointerCapture(event.pointerId);
      this.scene.element.focus({ focusVisible: false, preventScroll: true });
      const corner = this.windowOf(this.cell);
      this.held = { at: this.scene.at(event), corner, from: this.cell };
    }

    drag(event) {
      if (!this.held) return;
      const { at, corner, from } = this.held;
      const now = this.scene.at(event);
      this.go(this.nearest([0, 1].map((axis) => corner[axis] + now[axis] - at[axis])), from);
    }

    /** A press beside the window brings its middle there; a finger that scrolls does not press. */
    jump(event) {
      const { body, pressed } = this;
      this.pressed = null;
      if (event.target === body || !pressed) return;
      if (apart(pressed, [event.clientX, event.clientY]) > STILL) return;
      const { window: [height, width] } = this.data;
      const [x, y] = this.scene.at(event);
      this.go(this.nearest([x - width / 2, y - height / 2]));
    }

    /** A press on the map chooses the cell. */
    choose(event) {
      const { left, top, width } = event.currentTarget.getBoundingClientRect();
      const unit = (CELL * this.w + 2) / width;
      this.go([event.clientY - top, event.clientX - left].map((at) =>
        Math.floor((at * unit - 1) / CELL)));
    }

    tellSoon(words) {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(words()), QUIET);
    }

    draw() {
      const { answer, boxes, cell, scores, sliders, w } = this;
      const at = this.index(cell);
      const window = this.windowOf(cell);
      this.window.place(window);
      this.body.style.cssText = this.scene.percent(window);
      answer.place(boxes[at]);
      sliders.forEach(({ show }, axis) => show(cell[axis] + 1));
      this.level.show(this.stop);
      this.here.setAttribute("x", CELL * cell[1]);
      this.here.setAttribute("y", CELL * cell[0]);
      this.told.textContent = this.moved(at, window);
      const over = scores.flatMap((score, i) => (this.reaches(score) ? [i] : []));
      this.over.setAttribute("d", over.map((i) =>
        `M${CELL * (i % w) + 0.7} ${CELL * Math.floor(i / w) + 0.7}h8.6v8.6h-8.6z`).join(""));
      this.drawAll(over);
      this.drawMerged(over);
    }

    reaches(score) {
      return score >= this.data.stops[this.stop] - 1e-9;
    }

    drawAll(over) {
      const { all, boxes, scores, show, w } = this;
      const rect = (box, share) => {
        const made = shape("rect", { style: `--share: ${Math.round(100 * share)}%` });
        scene.placeRect(made, box);
        return made;
      };
      const sorted = [...over].sort((a, b) => scores[a] - scores[b]);
      const windows = sorted.map((i) => this.windowOf([Math.floor(i / w), i % w]));
      all.windows.setAttribute("class", "every of-windows");
      all.boxes.setAttribute("class", "every of-boxes");
      all.windows.replaceChildren(...show.windows.input.checked
        ? windows.map((box) => rect(box, 1)) : []);
      all.boxes.replaceChildren(...show.boxes.input.checked
        ? sorted.map((i) => rect(boxes[i], scores[i])) : []);
    }

    drawMerged(over) {
      const { data, merged, show, stop, w } = this;
      const found = data.merged[stop];
      merged.forEach((box, n) => {
        box.hide(!show.merged.input.checked || n >= found.length);
        if (n < found.length) box.place(found[n]);
      });
      const level = short(data.stops[stop]);
      if (!over.length) {
        this.summary.textContent = `No window reaches a score of ${level}.`;
        return;
      }
      const windows = over.map((i) => this.windowOf([Math.floor(i / w), i % w]));
      const boxes = over.map((i) => this.boxes[i]);
      const groups = boxes.map((box) => {
        const far = found.map((one) => apart(overlap.centre(one), overlap.centre(box)));
        return far.indexOf(Math.min(...far));
      });
      const fits = found.map((box) => this.fit(box)).filter((iou) => iou !== null);
      const one = found.length === 1;
      const fit = fits.length ? ` IoU of the merged ${one ? "box" : "boxes"} with the true ` +
        `${this.truth.length === 1 ? "one" : "ones"}: ${fits.map(short).join(", ")}.` : "";
      this.summary.textContent = `${count(over.length, "window")} with a score of ${level} or ` +
        `more: their centres spread over ${pixels(this.spread(windows, groups))}, those of ` +
        `their boxes over ${pixels(this.spread(boxes, groups))}${one ? ""
          : ` around ${found.length} merged boxes`}.${fit}`;
    }

    /** How far centres lie from the mean of their group: the root of the mean square. */
    spread(boxes, groups) {
      let sum = 0;
      for (const group of new Set(groups)) {
        const centres = boxes.filter((_, i) => groups[i] === group).map(overlap.centre);
        const middle = mean(centres);
        for (const centre of centres) sum += apart(centre, middle) ** 2;
      }
      return Math.sqrt(sum / boxes.length);
    }

    /** IoU with the true box that fits best; null where there is none. */
    fit(box) {
      if (!this.truth.length) return null;
      return Math.max(...this.truth.map((truth) => overlap.measures(truth, box, 1).iou));
    }

    /** Where the window is, and how far it and the box moved. */
    moved(at, window) {
      const { boxes, cell, from, scores } = this;
      const place = `Row ${cell[0] + 1}, column ${cell[1] + 1}: score ${short(scores[at])}.`;
      const iou = this.fit(boxes[at]);
      const fit = iou === null ? "" : ` IoU of the box with the true one: ${short(iou)}.`;
      if (!from || this.index(from) === at) return `${place}${fit} Move the window.`;
      const [a, b] = [[this.windowOf(from), window], [boxes[this.index(from)], boxes[at]]].map(
        (pair) => apart(...pair.map(overlap.centre)));
      return `${place} The window moved ${pixels(a)}, the box ${pixels(b)}.${fit}`;
    }
  };
});
