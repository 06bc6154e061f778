/* <course-segmentation-explorer>: recorded segmentations, by stride and skips, and what is wrong.
 *
 * Choose a scene, the stride, and whether there are skips. Point at a pixel, or move the cross hair
 * with the arrow keys (with Shift by 8 pixels), to hear what it is and what it was taken for.
 */
"use strict";

courseFigures.define("course-segmentation-explorer", (course) => {
  const { choices, count, Figure, labels, node, pixels, shape } = course;
  const { Picture } = pixels;

  // Paul Tol's muted colours, which stay apart for colour-blind readers; each has its name besides.
  const TOL = ["cc6677", "88ccee", "ddcc77", "44aa99", "aa4499", "999933", "6f63c4", "117733",
    "882255", "a9a9a9"].map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const ROLES = ["ink", "wrong", "input"];
  const PANELS = { image: "image", truth: "truth", predicted: "prediction", wrong: "wrong pixels" };
  const ERRORS = {  // what can be wrong with a pixel, and how it is said
    missed: "missed",
    added: "added",
    confused: "taken for another class",
  };
  const FINE = 4;  // wrong pixels are drawn as so many by so many, so that some can be hatched
  const NAMED = 24;  // pixels from which a region gets its name written beside it
  const QUIET = 400;  // milliseconds without a change, until it is told
  const percent = (share) => `${(100 * share).toFixed(1)}%`;
  const iou = (value) => value.toFixed(2);
  const words = ({ stride, skips }) => `stride ${stride}, ${skips ? "with" : "without"} skips`;

  return class extends Figure {
    label = "Segmentations by stride and skips";
    sheets = ["pixels", "choices", "segmentation-explorer"];

    build(data) {
      const read = (texts) => texts.map(labels.runs);
      const { size: [H, W], names } = data;
      Object.assign(this, { data, names, size: [H, W], truth: read(data.truth) });
      this.images = data.images.map(labels.levels);
      this.runs = data.runs.map((run) => this.recorded(run, read(run.labels)));
      const background = this.truth.map((truth) => truth.map(() => 0));
      this.idle = this.recorded({}, background);
      this.scene = 0;
      this.run = this.runs[0];
      this.skips = this.run.skips;
      this.cross = [Math.floor(H / 2), Math.floor(W / 2)];
      this.cross.shown = false;
      this.panels = Object.fromEntries(Object.entries(PANELS).map(([name, title]) =>
        [name, this.panel(title, name === "wrong" ? FINE : 1)]));
      this.pixel = node("p", { class: "pixel" });
      this.errors = node("p", { class: "errors" });
      this.stage.append(
        node("div", { class: "controls" }, ...this.controls()),
        node("div", { class: "panels", tabindex: 0, role: "application",
          "aria-label": "Pixels: the arrow keys move a cross hair, with Shift by 8 pixels",
          onkeydown: (event) => this.key(event) },
        ...Object.values(this.panels).map(({ element }) => element)),
        this.errors, this.pixel,
        node("div", { class: "tables" }, this.scoreTable(), this.classTable()));
      pixels.followTheme(this, ROLES, (colours) => this.colour(colours));
    }

    /** Predictions with their confusions: of each scene, and of all. */
    recorded(run, maps) {
      const K = this.names.length;
      const counts = maps.map((map, n) => labels.confusion(this.truth[n], map, K));
      return { ...run, maps, counts, all: labels.total(counts) };
    }

    controls() {
      const { size: [H, W] } = this;
      this.faces = this.images.map(() => new Picture(W, H));
      const scene = choices({ legend: "scene", name: "scene", value: 0,
        options: this.faces.map(({ element }, value) =>
          ({ value, text: `scene ${value + 1}`, face: element })),
        onchoose: (value) => this.choose({ scene: value }) });
      const strides = [...new Set(this.runs.map((run) => run.stride))];
      const stride = choices({ legend: "stride of the finest scores, in pixels", name: "stride",
        value: this.run.stride,
        options: strides.map((value) => ({ value, text: String(value) })),
        onchoose: (value) => this.take(value, this.skips) });
      this.box = node("input", { type: "checkbox", checked: this.skips, onchange: () => {
        this.skips = this.box.checked;
        this.take(this.run.stride, this.skips);
      } });
      this.only = node("span", { class: "only" });
      const skips = node("label", { class: "choice skips" }, this.box, "skips", this.only);
      return [scene.element, node("div", { class: "way" }, stride.element, skips)];
    }

    /** One picture with its title; what is drawn over it stands in `over`. */
    panel(title, fine) {
      const { size: [H, W] } = this;
      const picture = new Picture(fine * W, fine * H, { "aria-hidden": "true" });
      const over = shape("g");
      const cross = shape("path", { class: "cross" });
      const drawing = shape("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title,
        onpointermove: (event) => event.pointerType === "mouse" && this.point(event),
        onpointerdown: (event) => this.point(event) }, over, cross);
      const sheet = node("div", { class: "sheet", style: `aspect-ratio: ${W} / ${H}` },
        picture.element, drawing);
      const element = node("figure", {},
        node("figcaption", { "aria-hidden": "true" }, title), sheet);
      return { element, picture, over, cross, drawing };
    }

    scoreTable() {
      const { data, images } = this;
      const rows = { scene: "this scene", all: `all ${images.length} scenes` };
      if (data.runs[0].scores) rows.given = data.scored;
      const row = (name, title) => {
        const cells = [node("td"), node("td")];
        const head = node("th", { scope: "row" }, title);
        return [name, { cells, element: node("tr", {}, head, ...cells) }];
      };
      this.scores = Object.fromEntries([...Object.entries(rows), ["idle",
        "all background, this scene"]].map(([name, title]) => row(name, title)));
      const heads = ["mean IoU", "pixel accuracy"].map((head) =>
        node("th", { scope: "col" }, head));
      this.caption = node("caption");
      return node("table", { class: "scores" }, this.caption, node("tr", {}, node("td"), ...heads),
        ...Object.values(this.scores).map(({ element }) => element));
    }

    classTable() {
      this.classes = node("tbody");
      const heads = ["class", "true pixels", "predicted", "IoU"].map((head) =>
        node("th", { scope: "col" }, head));
      return node("table", { class: "classes" }, node("caption", {}, "The classes of this scene"),
        node("thead", {}, node("tr", {}, ...heads)), this.classes);
    }

    choose(change) {
      Object.assign(this, change);
      this.draw();
      this.say(this.words());
    }

    /** Take the run of a stride with skips or without, or the only one that the stride has. */
    take(stride, skips) {
      const of = this.runs.filter((run) => run.stride === stride);
      this.choose({ run: of.find((run) => run.skips === skips) || of[0] });
    }

    key(event) {
      const by = event.shiftKey ? 8 : 1;
      const move = { ArrowUp: [-by, 0], ArrowDown: [by, 0], ArrowLeft: [0, -by],
        ArrowRight: [0, by] }[event.key];
      if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.aim(this.cross.map((at, axis) => at + move[axis]));
    }

    point(event) {
      const { left, top, width } = event.currentTarget.getBoundingClientRect();
      const [column, row] = [event.clientX - left, event.clientY - top].map((x) =>
        Math.floor(x * this.size[1] / width));
      this.aim([row, column]);
    }

    /** Put the cross hair on a pixel. */
    aim(at) {
      this.cross = at.map((n, axis) => Math.min(Math.max(n, 0), this.size[axis] - 1));
      this.cross.shown = true;
      this.drawCross();
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(this.pixel.textContent), QUIET);
    }

    colour(colours) {
      this.colours = colours;
      this.faces.forEach((face, n) => face.paint((i) => this.shade(n, i)));
      this.draw();
    }

    /** Pixel i of a scene: ink on paper, or light. */
    shade(scene, i, strength = 1) {
      const image = this.images[scene];
      if (this.data.channels === 1) return [this.colours.ink, strength * image[i]];
      const pixels = image.length / 3;
      return [[0, 1, 2].map((channel) => 255 * image[channel * pixels + i]), strength];
    }

    classColour(k) {
      return TOL[(k - 1) % TOL.length];
    }

    draw() {
      const { scene, run, panels, size, truth } = this;
      const [is, found] = [truth[scene], run.maps[scene]];
      const fill = (map) => (i) => (map[i] ? [this.classColour(map[i]), 1] : [this.colours.ink, 0]);
      panels.image.picture.paint((i) => this.shade(scene, i));
      for (const [name, map] of [["truth", is], ["predicted", found]]) {
        panels[name].picture.paint(fill(map));
        panels[name].over.replaceChildren(
          shape("path", { class: "outline", d: labels.outline(map, size) }), ...this.tags(map));
        panels[name].drawing.setAttribute("aria-label", this.described(PANELS[name], map));
      }
      panels.image.drawing.setAttribute("aria-label", `scene ${scene + 1}`);
      this.drawErrors(is, found);
      this.drawSkips();
      this.drawTables();
      this.drawCross();
    }

    /** What is wrong with a pixel: "missed", "added", "confused", or nothing. */
    error(is, found) {
      if (is === found) return null;
      if (!found) return "missed";
      return is ? "confused" : "added";
    }

    drawErrors(is, found) {
      const { colours: { wrong, input, ink }, panels, scene, size } = this;
      const W = FINE * size[1];
      const errors = { missed: 0, added: 0, confused: 0 };
      const kinds = is.map((label, i) => this.error(label, found[i]));
      for (const kind of kinds) if (kind) errors[kind] += 1;
      const hatched = (x, y) => ((x + y) % 6 < 3 ? [ink, 1] : [ink, 0]);
      panels.wrong.picture.paint((n) => {
        const [x, y] = [n % W, Math.floor(n / W)];
        const i = Math.floor(y / FINE) * size[1] + Math.floor(x / FINE);
        if (!kinds[i]) return this.shade(scene, i, 0.15);
        return { missed: [wrong, 1], added: [input, 1], confused: hatched(x, y) }[kinds[i]];
      });
      panels.wrong.over.replaceChildren(shape("path", { class: "outline faint",
        d: labels.outline(is, size) }));
      const total = Object.values(errors).reduce((a, b) => a + b);
      const said = Object.entries(errors).map(([error, n]) => `${n} ${ERRORS[error]}`);
      panels.wrong.drawing.setAttribute("aria-label",
        `${count(total, "wrong pixel")}: ${said.join("; ")}`);
      this.wrong = total;
      this.errors.replaceChildren(`${count(total, "wrong pixel")}: `, ...Object.keys(ERRORS).map(
        (error) => node("span", { class: `key ${error}` }, `${errors[error]} ${ERRORS[error]}`)));
    }

    /** The names of the regions, each above its region, or below where there is no room. */
    tags(map) {
      const [H, W] = this.size;
      const height = Math.max(H, W) / 10;
      return labels.regions(map, this.size).filter(({ area }) => area >= NAMED).map((region) => {
        const above = region.top >= 0.8 * height;
        const y = above ? region.top - 0.12 * height : region.bottom + 0.78 * height;
        const x = Math.min(Math.max((region.left + region.right) / 2, height / 2), W - height / 2);
        return shape("text", { x, y, class: "tag", "font-size": height }, this.names[region.label]);
      });
    }

    /** "truth: 3 at the upper left, 8 in the middle". */
    described(title, map) {
      const [H, W] = this.size;
      const third = (at, length) => Math.min(Math.floor(3 * at / length), 2);
      const place = ({ row, column }) => {
        const vertical = ["upper", "", "lower"][third(row, H)];
        const side = ["left", "", "right"][third(column, W)];
        return [vertical, side].filter(Boolean).join(" ") || "middle";
      };
      const found = labels.regions(map, this.size).filter(({ area }) => area >= NAMED);
      const said = found.map((region) =>
        `${this.names[region.label]} at the ${place(region)}, ${region.area} pixels`);
      return `${title}: ${said.join("; ") || "nothing but background"}`;
    }

    drawSkips() {
      const other = this.runs.some(({ stride, skips }) =>
        stride === this.run.stride && skips !== this.run.skips);
      this.box.checked = this.run.skips;
      this.box.disabled = !other;
      this.only.textContent = other ? ""
        : ` (stride ${this.run.stride}: only ${this.run.skips ? "with" : "without"})`;
    }

    drawTables() {
      const { scene, run, idle, scores, names } = this;
      const fill = (name, { meanIou, accuracy }) => {
        [iou(meanIou), percent(accuracy)].forEach((text, n) => {
          scores[name].cells[n].textContent = text;
        });
      };
      fill("scene", labels.scores(run.counts[scene]));
      fill("all", labels.scores(run.all));
      fill("idle", labels.scores(idle.counts[scene]));
      if (scores.given) fill("given", { meanIou: run.scores[0], accuracy: run.scores[1] });
      const said = words(run);
      this.caption.textContent = said[0].toUpperCase() + said.slice(1);
      const counts = run.counts[scene];
      const rows = labels.perClass(counts).flatMap(({ union, iou: share }, k) => {
        if (!union) return [];
        const swatch = node("span", { class: k ? "swatch" : "swatch none" });
        if (k) swatch.style.background = `rgb(${this.classColour(k).join()})`;
        const bar = node("span", { class: "bar" });
        bar.style.width = `${4 * share}em`;
        const is = counts[k].reduce((a, b) => a + b);
        const found = counts.reduce((sum, row) => sum + row[k], 0);
        return [node("tr", {}, node("th", { scope: "row" }, swatch, names[k]),
          node("td", {}, String(is)), node("td", {}, String(found)),
          node("td", {}, node("span", { class: "share" }, iou(share)), bar))];
      });
      this.classes.replaceChildren(...rows);
    }

    drawCross() {
      const { cross, panels, size: [H, W], names } = this;
      const [r, c] = cross;
      const d = cross.shown ? `M${c + 0.5} 0V${H}M0 ${r + 0.5}H${W}` : "";
      for (const { cross: path } of Object.values(panels)) path.setAttribute("d", d);
      if (!cross.shown) {
        this.pixel.textContent = "Point at a pixel to see what it is, and what it was taken for.";
        return;
      }
      const at = r * W + c;
      const [is, found] = [this.truth[this.scene][at], this.run.maps[this.scene][at]];
      const error = this.error(is, found);
      this.pixel.textContent = `Row ${r}, column ${c} is ${names[is]}, ` +
        `and was taken for ${names[found]}: ${error ? "wrong" : "right"}.`;
    }

    words() {
      const { meanIou, accuracy } = labels.scores(this.run.counts[this.scene]);
      return `Scene ${this.scene + 1}, ${words(this.run)}: mean IoU ${iou(meanIou)}, ` +
        `pixel accuracy ${percent(accuracy)}, ${count(this.wrong, "wrong pixel")}. ` +
        `${this.panels.predicted.drawing.getAttribute("aria-label")}.`;
    }
  };
});
