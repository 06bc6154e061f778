/* <course-roi-bins>: regions of interest on a map of features, their bins, and their gradients.
 *
 * Drag a region or a corner of it, move it with the arrow keys (with Shift its corner), or type its
 * coordinates in pixels. Choose RoIPool or RoIAlign, and the rows and columns of the output. A bin
 * of y shows where its value comes from, a cell of dx what it sums.
 */
"use strict";

courseFigures.define("course-roi-bins", (course) => {
  const { choices, Figure, Grid, Handles, node, number, regions, scene, shape, slider } = course;

  const QUIET = 400;  // milliseconds without a change, until it is told
  const LETTERS = ["A", "B"];
  const LAYERS = { pool: "RoIPool", align: "RoIAlign" };
  const GAP = 0.05;  // of a cell, by which a bin is drawn smaller than it is
  const RING = 0.17;  // of a cell, the radius around the point that is chosen
  const LARGE = 8;  // columns from which on numbers have one decimal
  const { at: named, same } = Grid;
  const exact = (value) => number(Number(value.toFixed(3)), 6);
  const weighed = (weight, value) => `${Number(weight.toFixed(4))} \u00b7 ${value}`;
  /** With three digits at most, of which so many behind the point; rounded once only. */
  const rounded = (value, digits = 2) =>
    (Math.abs(value) < 10 ** (3 - digits) ? Number(value.toFixed(digits)) : value);
  const span = (from, to, what) => (from === to ? `${what} ${number(from)}`
    : `${what}s ${number(from)} to ${number(to)}`);

  return class extends Figure {
    label = "Regions of interest, their bins and gradients";
    sheets = ["pixels", "scene", "choices", "grid", "handles", "roi-bins"];

    build(data) {
      const { boxes, layer, map, ratio, scale, size } = data;
      Object.assign(this, { data, map, layer, ratio, scale, size: [...size], region: 0,
        boxes: boxes.map((box) => [...box]), bin: [0, 0], sample: 0, cell: null });
      this.HW = [map.length, map[0].length];
      this.stage.style.setProperty("--columns", this.HW[1]);
      this.explained = node("p");
      this.regionTold = node("p");
      this.sumTold = node("p", { class: "sum" });
      this.grids = {
        x: new Grid({ name: "x", what: "features", role: "input", bare: true }),
        y: new Grid({ name: "y", what: "output", role: "prediction", focusable: true,
          onpick: (bin) => this.take({ bin, sample: 0 }) }),
        dy: new Grid({ name: "dy", what: "its gradient", role: "gradient" }),
        dx: new Grid({ name: "dx", what: "gradient of x, summed over all regions",
          role: "gradient", focusable: true, onpick: (cell) => this.pick(cell) }),
      };
      this.grids.x.resize(this.HW, 1);
      this.grids.dx.resize(this.HW);
      const { x, y, dy, dx } = this.grids;
      this.controls();
      this.board();
      this.stage.append(
        node("div", { class: "controls" }, ...this.parts.map(({ element }) => element)),
        node("div", { class: "bench" },
          node("div", { class: "map" }, x.element),
          node("div", { class: "side" }, this.handles.coordinates("the region"), this.regionTold,
            node("div", { class: "pair" }, y.element, dy.element),
            node("div", { class: "explained" }, this.explained, this.points.element)),
          node("div", { class: "back" }, dx.element, this.sumTold)));
      this.layOut();
      this.draw();
    }

    controls() {
      const { boxes, data, size } = this;
      const layer = choices({ legend: "layer", name: "layer", value: this.layer,
        options: Object.entries(LAYERS).map(([value, text]) => ({ value, text })),
        onchoose: (value) => this.take({ layer: value, sample: 0 }) });
      this.chosen = choices({ legend: "region", name: "region", value: 0,
        options: boxes.map((_, value) => ({ value, text: LETTERS[value] })),
        onchoose: (region) => this.take({ region }) });
      const sizes = ["rows of y", "columns of y"].map((label, axis) => slider({ label, min: 1,
        max: data.most, value: size[axis],
        onmove: (value) => {
          this.size[axis] = value;
          this.layOut();
          this.take({ bin: this.bin.map((at, n) => Math.min(at, this.size[n] - 1)) });
        } }));
      this.sizes = sizes;
      this.parts = [layer, ...(boxes.length > 1 ? [this.chosen] : []), ...sizes];
      this.points = slider({ label: "point", min: 1, max: this.ratio ** 2, value: 1,
        words: (value) => `${value} of ${this.ratio ** 2}`,
        onmove: (value) => this.take({ sample: value - 1 }) });
    }

    /** What lies over the map: in cells, with one of paper around it. */
    board() {
      const { boxes, data, grids, HW: [H, W], scale } = this;
      this.scene = new scene.Scene(this, { size: [H, W] }, { margin: 1, tabindex: 0,
        role: "application", "aria-label": "Map of features: the arrow keys move the region, " +
          "with Shift its lower right corner" });
      grids.x.board.append(this.scene.element);
      this.bins = shape("g");
      this.dots = shape("path", { class: "dots" });
      this.dot = shape("circle", { class: "chosen", r: RING });
      this.outlines = boxes.map((_, n) => ({
        round: this.scene.box(`region-${n} round`),
        plain: this.scene.box(`region-${n} plain`, LETTERS[n], { right: n > 0 }),
      }));
      this.scene.drawing.append(this.bins, this.dots, this.dot);
      this.handles = new Handles({ board: this.scene, step: data.step, unit: 1 / scale,
        limits: [[-1 / scale, (W + 1) / scale], [-1 / scale, (H + 1) / scale]],
        onmove: (box) => {
          this.boxes[this.region] = box;
          this.take({});
        },
        onmiss: (place) => this.other(place) });
    }

    /** A press on another region chooses it. */
    other(place) {
      const region = this.boxes.findIndex((box) =>
        place.every((at, axis) => box[axis] <= at && at <= box[2 + axis]));
      if (region >= 0) this.take({ region });
    }

    /** Size the grids of the output. */
    layOut() {
      for (const name of ["y", "dy"]) this.grids[name].resize(this.size);
    }

    take(change) {
      Object.assign(this, change);
      this.draw();
      this.tellSoon();
    }

    pick(cell) {
      this.cell = cell;
      this.draw();
      this.tellSoon(() => this.sumTold.textContent);
    }

    tellSoon(words = () => `${this.regionTold.textContent} ${this.explained.textContent}`) {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(words()), QUIET);
    }

    /** The gradient of y of a region: what was given, or 1, 2, 3 .. and ten times as much. */
    gradient(region) {
      const { data, size: [PH, PW] } = this;
      if (data.dy && same(data.size, this.size)) return data.dy[region];
      return Array.from({ length: PH }, (_, p) => Array.from({ length: PW }, (_, q) =>
        10 ** region * (p * PW + q + 1)));
    }

    draw() {
      const { boxes, chosen, handles, layer, map, ratio, region, scale, size } = this;
      this.results = boxes.map((box) => (layer === "pool" ? regions.pool(map, box, size, scale)
        : regions.align(map, box, size, scale, ratio)));
      this.result = this.results[region];
      this.dys = boxes.map((_, n) => this.gradient(n));
      this.dx = regions.backward(this.HW, this.results, this.dys);
      chosen.boxes.get(region).querySelector("input").checked = true;
      this.sizes.forEach(({ show }, axis) => show(size[axis]));
      this.scene.element.style.setProperty("--knob", `var(--region-${region})`);
      handles.show(boxes[region]);
      this.points.element.hidden = layer === "pool";
      this.points.show(this.sample + 1);
      this.drawBoard();
      this.drawGrids();
      this.regionTold.textContent = this.regionWords();
      this.explained.textContent = layer === "pool" ? this.poolWords() : this.alignWords();
      this.sumTold.textContent = this.sumWords();
    }

    /** Corners in cells: as they are, and rounded, the cells of both corners included. */
    corners(n) {
      const plain = this.boxes[n].map((at) => at * this.scale);
      const [left, top, right, bottom] = plain.map(regions.halfAway);
      return { plain, round: [left, top, Math.max(right, left) + 1, Math.max(bottom, top) + 1] };
    }

    drawBoard() {
      const { bin, layer, outlines, region, result, size: [PH, PW] } = this;
      outlines.forEach(({ plain, round }, n) => {
        const corners = this.corners(n);
        plain.place(corners.plain);
        round.place(corners.round);
        round.hide(layer === "align");
        plain.element.classList.toggle("exact", layer === "pool");
        for (const { element } of [plain, round]) {
          element.classList.toggle("other", n !== region);
        }
      });
      const { plain: [left, top, right, bottom] } = this.corners(region);
      const place = layer === "pool"
        ? (p, q) => [result.columns[q][0], result.rows[p][0], result.columns[q][1],
          result.rows[p][1]]
        : (p, q) => [left + q * (right - left) / PW, top + p * (bottom - top) / PH,
          left + (q + 1) * (right - left) / PW, top + (p + 1) * (bottom - top) / PH];
      const gap = layer === "pool" ? GAP : 0;
      const rects = result.y.flatMap((row, p) => row.map((_, q) => {
        const [x1, y1, x2, y2] = place(p, q);
        const here = same([p, q], bin);
        const rect = shape("rect", { class: `bin${here ? " here" : ""} region-${region}`,
          "data-bin": `${p},${q}` });
        const empty = x1 >= x2 || y1 >= y2;
        scene.placeRect(rect, empty ? [0, 0, 0, 0] : [x1 + gap, y1 + gap, x2 - gap, y2 - gap]);
        return { rect, here };
      }));
      rects.sort((a, b) => a.here - b.here);
      this.bins.replaceChildren(...rects.map(({ rect }) => rect));
      const points = result.samples;
      this.dots.setAttribute("d", (points || []).flat(2).map(({ at: [r, c] }) =>
        `M${c + 0.5} ${r + 0.5}h0`).join(""));
      this.dot.style.display = points ? "" : "none";
      if (!points) return;
      const { at: [r, c] } = points[bin[0]][bin[1]][this.sample];
      this.dot.setAttribute("cx", c + 0.5);
      this.dot.setAttribute("cy", r + 0.5);
    }

    drawGrids() {
      const { bin, cell, dx, dys, grids, HW: [H, W], layer, map, region, result } = this;
      const here = result.terms[bin[0]][bin[1]];
      const winners = new Set(result.terms.flat(2).map((term) => String(term.cell)));
      const weights = new Map();
      const chosen = layer === "pool" ? here
        : result.samples[bin[0]][bin[1]][this.sample].terms;
      for (const { cell: at, weight } of chosen) {
        weights.set(String(at), (weights.get(String(at)) || 0) + weight);
      }
      grids.x.paint(([r, c], inside) => {
        if (!inside) {
          const column = r === -1 && c >= 0 && c < W;
          const row = c === -1 && r >= 0 && r < H;
          return { tag: column ? String(c) : row ? String(r) : "" };
        }
        const weight = weights.get(`${r},${c}`);
        const states = layer === "pool"
          ? [weight && "picked", winners.has(`${r},${c}`) && "touched"]
          : [weight && "touched"];
        return { value: rounded(map[r][c]), states: states.filter(Boolean),
          note: layer === "align" && weight ? weight.toFixed(2).replace(/^0/, "") : "" };
      });
      grids.y.paint((at) => ({ value: rounded(result.y[at[0]][at[1]]),
        states: same(at, bin) ? ["picked"] : [] }));
      grids.dy.paint(([p, q]) => ({ value: rounded(dys[region][p][q]),
        states: same([p, q], bin) ? ["touched"] : [] }));
      const digits = W > LARGE ? 1 : 2;
      grids.dx.paint(([r, c]) => {
        const { sum, from } = dx[r][c];
        const mine = from.some((one) => one.region === region && same(one.bin, bin));
        const states = [cell && same(cell, [r, c]) && "picked", mine && "touched",
          !from.length && "idle"];
        return { value: rounded(sum, digits), states: states.filter(Boolean),
          tag: from.length > 1 ? "+" : "" };
      });
    }

    regionWords() {
      const { layer, region } = this;
      const { plain, round } = this.corners(region);
      const [left, top, right, bottom] = plain.map(exact);
      const where = `Region ${LETTERS[region]} lies, in cells, at x ${left} to ${right}, ` +
        `y ${top} to ${bottom}`;
      if (layer === "align") return `${where}; nothing is rounded.`;
      return `${where}. Rounded, it is ${span(round[1], round[3] - 1, "row")}, ` +
        `${span(round[0], round[2] - 1, "column")}.`;
    }

    poolWords() {
      const { bin, dys, map, region, result } = this;
      const [p, q] = bin;
      const [[r0, r1], [c0, c1]] = [result.rows[p], result.columns[q]];
      const [term] = result.terms[p][q];
      if (!term) return `${named("y", bin)} = 0: its bin has no cell of the map.`;
      const dy = number(rounded(dys[region][p][q]));
      const value = number(rounded(map[term.cell[0]][term.cell[1]]));
      return `${named("y", bin)} = ${value}, the largest in ${span(r0, r1 - 1, "row")}, ` +
        `${span(c0, c1 - 1, "column")}: that of ${named("x", term.cell)}. Its dy, ${dy}, goes to ` +
        `${named("dx", term.cell)}, and nowhere else.`;
    }

    alignWords() {
      const { bin, map, result, sample } = this;
      const [p, q] = bin;
      const { at: [r, c], terms, value } = result.samples[p][q][sample];
      const points = result.samples[p][q].length;
      const mean = `${named("y", bin)} = ${exact(result.y[p][q])}` +
        `${points > 1 ? `, the mean of ${points} points` : ", the value at one point"}.`;
      const place = `Point ${sample + 1} lies at row ${exact(r)}, column ${exact(c)}`;
      if (!terms.length) return `${mean} ${place}, more than a cell outside: it counts as 0.`;
      const parts = terms.filter(({ weight }) => weight).map(({ cell, weight }) =>
        weighed(weight, number(rounded(map[cell[0]][cell[1]]))));
      return `${mean} ${place}, between the centres of cells: ${parts.join(" + ")} = ` +
        `${exact(value)}.`;
    }

    sumWords() {
      const { cell, dx, layer } = this;
      if (!cell) return "Point at a cell of dx to see its sum; + marks those of several terms.";
      const { sum, from } = dx[cell[0]][cell[1]];
      const name = named("dx", cell);
      if (!from.length) return `${name} = 0: no bin took anything from this cell.`;
      const parts = from.map(({ bin, dy, region, weight }) => {
        const pull = number(rounded(dy));
        const term = layer === "align" ? weighed(weight, pull) : pull;
        return `${term} (${LETTERS[region]}, bin [${bin.join(", ")}])`;
      });
      return `${name} = ${parts.join(" + ")}${
        parts.length > 1 || layer === "align" ? ` = ${exact(sum)}` : ""}`;
    }
  };
});
