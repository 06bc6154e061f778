/* <course-scales-and-offsets>: dense evaluation, by scale and by the offset of the last pooling.
 *
 * Choose the scale, and one offset or all. The strips show, along a row or a column, how the maps
 * are pooled from each offset and how the scores interleave; every cell of the finer map has the
 * letter of its offset. Choose a cell there, drag its window over the image, or use the arrow keys:
 * they step from window to window of what is chosen.
 */
"use strict";

courseFigures.define("course-scales-and-offsets", (course) => {
  const { choices, counting: { short, TIMES }, Figure, node, scene, shape } = course;

  const QUIET = 600;  // milliseconds without a change, until it is told
  const STILL = 8;  // pixels of the screen that a press may slip
  const CELL = 10;  // units of the map's drawing
  const LETTERS = "abcdefghi";
  const WORDS = { 4: "four", 9: "nine" };
  const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const AXES = [["rows", "down", "column"], ["columns", "right", "row"]];
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const sizes = (pair) => pair.join(` ${TIMES} `);
  const product = ([a, b]) => a * b;

  return class extends Figure {
    label = "Scales and offsets of a dense evaluation";
    sheets = ["pixels", "choices", "scene", "table", "scales-and-offsets"];

    build(data) {
      const { pool, scales } = data;
      Object.assign(this, { data, pool, scale: 0, offset: -1, axis: 1, cell: [0, 0], shown: [] });
      this.widest = Math.max(...scales.map(({ image }) => image[1]));
      this.place = node("div", { class: "place" });
      this.told = node("p", { class: "told" });
      this.strips = node("div", { class: "strips" });
      this.stage.append(node("div", { class: "controls" }, ...this.controls()),
        node("div", { class: "bench" }, this.place, this.map()), this.told,
        node("div", { class: "bench" }, this.strips, this.table()));
      this.take(0);
    }

    controls() {
      const { data: { scales, scores }, pool } = this;
      const scale = choices({ legend: "image, in pixels", name: "scale", value: 0,
        options: scales.map(({ image }, value) => ({ value, text: sizes(image) })),
        onchoose: (value) => {
          this.take(value);
          this.tellSoon();
        } });
      const letter = (n) => node("span", { class: `letter offset-${n}`, "aria-hidden": "true" },
        LETTERS[n], node("small", {}, `${Math.floor(n / pool)}, ${n % pool}`));
      const offsets = Array.from({ length: pool ** 2 }, (_, n) => ({ value: n, face: letter(n),
        text: `offset ${LETTERS[n]}: ${this.way(n)}` }));
      const offset = choices({ legend: "offset of the last pooling, down and right",
        name: "offset", value: -1, onchoose: (value) => this.choose(value),
        options: [{ value: -1, text: `all ${WORDS[pool ** 2]}` }, ...offsets] });
      offset.element.classList.add("offsets");
      offset.element.style.setProperty("--pool", pool);
      const along = choices({ legend: "strips along", name: "along", value: 1,
        options: [{ value: 1, text: "a row" }, { value: 0, text: "a column" }],
        onchoose: (value) => {
          this.axis = value;
          this.draw();
        } });
      this.byScore = node("input", { type: "checkbox", onchange: () => this.draw() });
      const shades = scores ? [node("label", { class: "choice" }, this.byScore, "scores")] : [];
      return [scale.element, offset.element, node("div", {}, along.element, ...shades)];
    }

    way(n) {
      return `${Math.floor(n / this.pool)} down, ${n % this.pool} right`;
    }

    map() {
      this.caption = node("figcaption");
      this.drawing = shape("svg", { "aria-hidden": "true", onclick: (event) => this.point(event) });
      this.chart = node("div", { class: "map", tabindex: 0, role: "application",
        "aria-label": "Map of windows: the arrow keys choose the next one",
        onkeydown: (event) => this.key(event) }, this.drawing);
      return node("figure", {}, this.caption, this.chart);
    }

    table() {
      const rows = { map: "score map", windows: "windows", stride: "their stride" };
      if (this.data.macs) {
        Object.assign(rows, { dense: "multiply-accumulates, dense", crops: "crop by crop",
          ratio: "crops against dense" });
      }
      this.cells = {};
      const made = Object.entries(rows).map(([what, title]) => {
        this.cells[what] = [node("td"), node("td")];
        return node("tr", {}, node("th", { scope: "row" }, title), ...this.cells[what]);
      });
      this.heads = ["one offset", `all ${WORDS[this.pool ** 2]}`].map((text) =>
        node("th", { scope: "col" }, text));
      this.counts = node("caption");
      return node("table", {}, this.counts, node("tr", {}, node("td"), ...this.heads), ...made);
    }

    /** Rows and columns of the finer map, of all offsets. */
    get every() {
      const { data: { kernel, scales }, pool, scale } = this;
      return scales[scale].before.map((cells) => cells - pool * kernel + 1);
    }

    /** The offset of a cell of the finer map. */
    offsetOf([r, c]) {
      return (r % this.pool) * this.pool + c % this.pool;
    }

    /** How far the first cell of what is chosen is from the corner, and the step to the next. */
    get steps() {
      const { offset, pool } = this;
      if (offset < 0) return { first: [0, 0], step: 1 };
      return { first: [Math.floor(offset / pool), offset % pool], step: pool };
    }

    /** Rows and columns of the scores of an offset, -1 for all. */
    sizeOf(offset) {
      const { every, pool } = this;
      if (offset < 0) return every;
      const first = [Math.floor(offset / pool), offset % pool];
      return every.map((length, axis) => Math.max(Math.ceil((length - first[axis]) / pool), 0));
    }

    windowOf([r, c]) {
      const { cell, window } = this.data;
      return [cell * c, cell * r, cell * c + window, cell * r + window];
    }

    /** Show another scale, with the window in the middle. */
    take(scale) {
      this.scale = scale;
      const { image } = this.data.scales[scale];
      this.shown[scale] = this.shown[scale] || this.board(image);
      this.place.replaceChildren(this.shown[scale].scene.element);
      this.go(this.every.map((length) => (length - 1) / 2), false);
      this.draw();
    }

    /** The image of a scale, in proportion to the others, with a window to hold. */
    board(image) {
      const { picture } = this.data;
      const made = new scene.Scene(this, { ...picture, size: image }, { tabindex: 0,
        role: "application", "aria-label": "Image: the arrow keys move the window to the next one",
        onkeydown: (event) => this.key(event), onpointerup: (event) => this.jump(event),
        onpointerdown: ({ clientX, clientY }) => { this.pressed = [clientX, clientY]; },
        onpointercancel: () => { this.pressed = null; } });
      made.element.style.width = `${100 * image[1] / this.widest}%`;
      const centres = Array.from({ length: this.pool ** 2 }, (_, n) =>
        shape("path", { class: `centres offset-${n}` }));
      const outlines = shape("path", { class: "outlines" });
      made.drawing.append(outlines, ...centres);
      const window = made.box("window", "window");
      const body = node("span", { class: "body", onpointerdown: (event) => this.grasp(event),
        onpointermove: (event) => this.drag(event), onpointerup: () => { this.held = null; },
        onpointercancel: () => { this.held = null; } });
      made.element.append(body);
      return { scene: made, centres, outlines, window, body };
    }

    choose(offset) {
      this.offset = offset;
      this.go(this.cell, false);
      this.draw();
      this.tellSoon();
    }

    key(event) {
      const way = KEYS[event.key];
      if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const { step } = this.steps;
      this.go(this.cell.map((at, axis) => at + step * way[axis]));
    }

    /** Take the nearest cell of what is chosen. */
    go(to, drawn = true) {
      const { every, steps: { first, step } } = this;
      this.cell = to.map((at, axis) => {
        const last = Math.max(Math.floor((every[axis] - 1 - first[axis]) / step), 0);
        return Math.min(first[axis] + step * clamp(Math.round((at - first[axis]) / step), 0, last),
          every[axis] - 1);
      });
      if (!drawn) return;
      this.draw();
      this.tellSoon();
    }

    nearest([x, y]) {
      return [y, x].map((at) => at / this.data.cell);
    }

    grasp(event) {
      event.preventDefault();
      const { body, scene: { element } } = this.shown[this.scale];
      body.setPointerCapture(event.pointerId);
      element.focus({ focusVisible: false, preventScroll: true });
      this.held = { at: this.at(event), corner: this.windowOf(this.cell) };
    }

    at(event) {
      return this.shown[this.scale].scene.at(event);
    }

    drag(event) {
      if (!this.held) return;
      const { at, corner } = this.held;
      const now = this.at(event);
      this.go(this.nearest([0, 1].map((axis) => corner[axis] + now[axis] - at[axis])));
    }

    /** A press beside the window brings its middle there; a finger that scrolls does not press. */
    jump(event) {
      const { pressed } = this;
      this.pressed = null;
      if (event.target === this.shown[this.scale].body || !pressed) return;
      const slip = Math.hypot(pressed[0] - event.clientX, pressed[1] - event.clientY);
      if (slip <= STILL) this.go(this.nearest(this.at(event).map((x) => x - this.data.window / 2)));
    }

    /** A press on the map chooses the cell. */
    point(event) {
      const { left, top, width } = this.drawing.getBoundingClientRect();
      const unit = (CELL * this.every[1] + 2) / width;
      this.go([event.clientY - top, event.clientX - left].map((at) =>
        Math.floor((at * unit - 1) / CELL)));
    }

    tellSoon() {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(this.told.textContent), QUIET);
    }

    draw() {
      this.drawImage();
      this.drawMap();
      this.drawStrips();
      this.drawCounts();
    }

    /** The window, and where the middles of all windows of what is chosen are. */
    drawImage() {
      const { centres, outlines, scene: { percent }, window, body } = this.shown[this.scale];
      const { data, every: [h, w], offset } = this;
      const now = this.windowOf(this.cell);
      window.place(now);
      body.style.cssText = percent.call(this.shown[this.scale].scene, now);
      const paths = centres.map(() => []);
      const frames = [];
      for (let r = 0; r < h; r++) {
        for (let c = 0; c < w; c++) {
          const its = this.offsetOf([r, c]);
          if (offset >= 0 && its !== offset) continue;
          const [x, y] = this.windowOf([r, c]);
          paths[its].push(`M${x + data.window / 2} ${y + data.window / 2}h0`);
          if (offset >= 0) frames.push(`M${x} ${y}h${data.window}v${data.window}h-${data.window}z`);
        }
      }
      centres.forEach((path, n) => path.setAttribute("d", paths[n].join("")));
      outlines.setAttribute("d", frames.join(""));
    }

    /** The finer map: cells by offset, or by score. */
    drawMap() {
      const { data, drawing, every: [h, w], offset, scale } = this;
      const parts = [];
      for (let i = 0; i < h * w; i++) {
        const [r, c] = [Math.floor(i / w), i % w];
        const its = this.offsetOf([r, c]);
        const out = offset >= 0 && its !== offset;
        const scored = this.byScore.checked;
        const look = out ? "cell" : scored ? "cell scored" : `cell offset-${its}`;
        parts.push(shape("rect", { x: CELL * c, y: CELL * r, width: CELL, height: CELL,
          class: look, style: scored ? `--share: ${data.scores[scale][i]}%` : "" }));
        if (!out) {
          parts.push(shape("text", { x: CELL * (c + 0.5), y: CELL * (r + 0.72) }, LETTERS[its]));
        }
      }
      const [row, column] = this.cell;
      drawing.setAttribute("viewBox", `-1 -1 ${CELL * w + 2} ${CELL * h + 2}`);
      drawing.replaceChildren(...parts, shape("rect", { class: "here", x: CELL * column,
        y: CELL * row, width: CELL, height: CELL }));
      this.chart.style.maxWidth = `${Math.max(34 * w, 60)}px`;
      this.caption.textContent = `${sizes([h, w])} scores; each letter is an offset`;
    }

    /** Along one axis: the maps, pooled from each offset, their scores, and those interleaved. */
    drawStrips() {
      const { axis, cell, data: { kernel, cell: px, scales }, every, offset, pool, scale } = this;
      const before = scales[scale].before[axis];
      const [cells, way, along] = AXES[axis];
      const other = offset < 0 ? cell[1 - axis] % pool
        : axis ? Math.floor(offset / pool) : offset % pool;
      const colour = (d) => (axis ? other * pool + d : d * pool + other);
      const wide = pool * kernel;
      const here = cell[axis];
      const strip = (words, parts, tall = "") => node("div", { class: "strip" },
        node("p", {}, words),
        node("div", { class: `track ${tall}`, "aria-hidden": "true" }, ...parts));
      const part = (at, size, look, text = "", down = "") => node("span", {
        class: `part ${look} ${down}`,
        style: `left: ${100 * at / before}%; width: ${100 * size / before}%` }, text);
      const middle = (wide - 1) / 2;
      const rows = [strip(`${before} ${cells} before the last pooling, ${px} px apart; under the ` +
        `window ${wide}`, Array.from({ length: before }, (_, at) =>
        part(at, 1, at >= here && at < here + wide ? "seen" : "")))];
      for (let d = 0; d < pool; d++) {
        const its = colour(d);
        const chosen = offset < 0 || its === offset;
        const pooled = Math.floor((before - d) / pool);
        const outputs = Math.max(pooled - kernel + 1, 0);
        const mine = here % pool === d;
        const look = chosen ? `offset-${its}` : "";
        const parts = Array.from({ length: pooled }, (_, k) => {
          const at = d + pool * k;
          const seen = mine && at >= here && at < here + wide;
          return part(at, pool, `${look}${seen ? " seen" : ""}`);
        });
        for (let k = 0; k < outputs; k++) {
          const at = d + pool * k;
          parts.push(part(at + middle, 1, `${look}${at === here ? " seen" : ""}`,
            LETTERS[its], "lower"));
        }
        rows.push(strip(`${d} ${way}: ${pooled} pooled, ${pool * px} px apart; ` +
          `${outputs} ${outputs === 1 ? "score" : "scores"} from ${kernel} each`, parts, "tall"));
      }
      rows.push(strip(`interleaved: ${every[axis]} ${every[axis] === 1 ? "score" : "scores"}, ` +
        `${px} px apart`, Array.from({ length: every[axis] }, (_, at) => {
        const its = colour(at % pool);
        const look = offset < 0 || its === offset ? `offset-${its}` : "";
        return part(at + middle, 1, `${look}${at === here ? " seen" : ""}`, LETTERS[its]);
      })));
      this.strips.replaceChildren(node("p", { class: "head" }, `Along a ${along}`), ...rows);
    }

    /** What one offset, or all of them, give and cost. */
    costs(offset) {
      const { data: { cell, macs }, pool, scale } = this;
      const size = this.sizeOf(offset);
      const windows = product(size);
      const found = { size, windows, stride: offset < 0 ? cell : pool * cell };
      if (!macs) return found;
      const [window, features, classifier] = macs;
      const dense = features[scale] + windows * classifier;
      const crops = windows * (window + classifier);
      return { ...found, dense, crops, ratio: crops / dense };
    }

    drawCounts() {
      const { cells, data: { scales }, heads, offset, pool, scale } = this;
      const found = [this.costs(Math.max(offset, 0)), this.costs(-1)];
      const ratio = (value) =>
        value && `${value < 10 ? value.toFixed(1) : Math.round(value)} ${TIMES}`;
      found.forEach(({ size, windows, stride, dense, crops, ratio: times }, n) => {
        const texts = { map: sizes(size), windows: String(windows), stride: `${stride} px` };
        if (dense) {
          Object.assign(texts, { dense: short(dense), crops: short(crops), ratio: ratio(times) });
        }
        const chosen = n === Number(offset < 0);
        heads[n].className = chosen ? "chosen" : "";
        for (const [what, text] of Object.entries(texts)) {
          cells[what][n].textContent = text;
          cells[what][n].className = chosen ? "chosen" : "";
        }
      });
      heads[0].textContent = `offset ${LETTERS[Math.max(offset, 0)]}`;
      const image = sizes(scales[scale].image);
      this.counts.textContent = `An image of ${image} pixels`;
      const { size, windows, stride, dense, crops, ratio: times } = found[Number(offset < 0)];
      const which = offset < 0 ? `All ${WORDS[pool ** 2]} offsets`
        : `Offset ${LETTERS[offset]}, ${this.way(offset)},`;
      const cost = dense ? ` Dense: ${short(dense)} multiply-accumulates; crop by crop: ` +
        `${short(crops)}, ${ratio(times)} as many.` : "";
      const [r, c] = this.cell;
      if (!windows) {
        this.told.textContent = `${which} on ${image}: no window fits.`;
        return;
      }
      const score = this.byScore.checked
        ? `, score ${(this.data.scores[scale][r * this.every[1] + c] / 100).toFixed(2)}` : "";
      const [x, y] = this.windowOf(this.cell);
      this.told.textContent = `${which} on ${image}: ${sizes(size)} = ${windows} ` +
        `${windows === 1 ? "window" : `windows, ${stride} px apart`}.${cost} The window shown, ` +
        `row ${r + 1}, column ${c + 1}, offset ${LETTERS[this.offsetOf(this.cell)]}, starts at ` +
        `x = ${x}, y = ${y} px${score}.`;
    }
  };
});
