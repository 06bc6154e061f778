/* <course-caption-attention>: where a network looked when it wrote each word of a caption.
 *
 * Choose a scene, and a word of its sentence: its weights lie over the picture, and stand in a
 * table besides. Where the boxes of the objects are known, a table has the share of each.
 */
"use strict";

courseFigures.define("course-caption-attention", (course) => {
  const { choices, Figure, labels, node, pixels, scene, shape } = course;

  const FINE = 10000;  // parts of the whole weight, as the data has them
  const STRONG = 0.85;  // the opacity of the largest weight
  const TOLD = 0.03;  // the share from which on a number is written over its place
  const QUIET = 300;  // milliseconds without a change, until it is told
  const percent = (share) => (share > 0 && share < 0.005 ? "<1%" : `${(100 * share).toFixed(0)}%`);

  /** How much of the weights (row by row, h by w places) lies in a box of an image. */
  function share(weights, [h, w], [H, W], [x1, y1, x2, y2]) {
    const [down, across] = [H / h, W / w];
    const part = (low, high, from, size) =>
      Math.max(Math.min(high, from + size) - Math.max(low, from), 0) / size;
    return weights.reduce((sum, weight, i) => sum + weight *
      part(y1, y2, Math.floor(i / w) * down, down) * part(x1, x2, (i % w) * across, across), 0);
  }

  /** How many places it takes, the strongest first, to have half of the weight. */
  function half(weights) {
    let [sum, n] = [0, 0];
    for (const weight of [...weights].sort((a, b) => b - a)) {
      if (sum >= 0.5 - 1e-9) break;
      sum += weight;
      n += 1;
    }
    return n;
  }

  course.attention = course.attention || Object.freeze({ half, share });

  return class extends Figure {
    label = "A caption, and where the network looked";
    sheets = ["pixels", "scene", "choices", "table", "caption-attention"];

    build(data) {
      this.scenes = data.scenes.map((one) => this.read(one));
      Object.assign(this, { n: data.scene, t: data.word, numbers: false });
      this.faces = data.scenes.map((one) => this.face(one));
      const chosen = choices({ legend: "scene", name: "scene", value: this.n,
        options: this.faces.map((face, value) => ({ value, text: `scene ${value + 1}`, face })),
        onchoose: (value) => this.open(value) });
      this.box = node("input", { type: "checkbox", onchange: () => {
        this.numbers = this.box.checked;
        this.drawMap();
      } });
      this.told = node("p", { class: "told" });
      this.picture = node("div", { class: "picture-place" });
      this.listed = node("div", { class: "words" });
      this.map = node("details", {}, node("summary", {}, "All weights of this word"),
        this.weights = node("div", { class: "weights", tabindex: 0 }));
      const several = this.scenes.some((one) => one.boxes.length > 1);
      this.stage.append(
        node("p", { class: "question" }, several ? "At which word does the look move from one " +
          "object to the other? Which words hardly need the picture?"
          : "At which word does the look move? Which words hardly need the picture?"),
        node("div", { class: "controls" }, ...(this.scenes.length > 1 ? [chosen.element] : []),
          node("label", { class: "choice" }, this.box, "write the weights, in %")),
        node("div", { class: "bench" },
          node("div", { class: "seen" }, this.picture, this.told),
          node("div", { class: "read" }, this.listed, this.map)));
      this.lay();
    }

    /** A scene with its weights as shares of 1, and what follows from them. */
    read(one) {
      const boxes = one.boxes || [];
      const weights = one.weights.map((map) => map.map((weight) => weight / FINE));
      const shares = weights.map((map) => boxes.map((box) => share(map, one.grid, one.size, box)));
      return { ...one, boxes, names: one.names || [], weights, shares,
        most: Math.max(...weights.flat()) };
    }

    /** A small picture of a scene, to choose it by. */
    face(one) {
      if (one.photograph) return node("img", { class: "picture", src: one.photograph, alt: "" });
      const picture = new pixels.Picture(one.shape[1], one.shape[0], { "aria-hidden": "true" });
      const found = labels.levels(one.ink);
      pixels.followTheme(this, ["ink"], (colours) =>
        picture.paint((i) => [colours.ink, found[i]]));
      return picture.element;
    }

    get scene() {
      return this.scenes[this.n];
    }

    open(n) {
      this.n = n;
      this.t = Math.min(this.t, this.scene.words.length - 1);
      this.lay();
      this.tellSoon(() => `Scene ${n + 1}: ${this.scene.words.join(" ")}. ${this.words()}`);
    }

    /** Lay out a scene: its picture, its places, its words. */
    lay() {
      const { scene: one } = this;
      const { size: [H, W], grid: [h, w] } = one;
      const board = new scene.Scene(this, one);
      this.places = one.weights[0].map((_, i) => {
        const place = shape("rect", { class: "place" });
        const [r, c] = [Math.floor(i / w), i % w];
        scene.placeRect(place, [c * W / w, r * H / h, (c + 1) * W / w, (r + 1) * H / h]);
        return place;
      });
      const veil = shape("svg", { viewBox: board.view.join(" "), preserveAspectRatio: "none",
        class: "veil", "aria-hidden": "true" }, ...this.places);
      // Ink stays on top of the colour; a photograph would hide it.
      if (one.photograph) board.drawing.before(veil);
      else board.element.prepend(veil);
      const corners = [{}, { under: true, right: true }, { right: true }, { under: true }];
      this.outlines = one.boxes.map((box, n) => {
        const outline = board.box("object", one.names[n], corners[n]);
        outline.place(box);
        return outline;
      });
      this.figures = one.weights[0].map((_, i) => {
        const [r, c] = [Math.floor(i / w), i % w];
        return node("span", { class: "figure", style: `left: ${100 * (c + 0.5) / w}%; ` +
          `top: ${100 * (r + 0.5) / h}%` });
      });
      board.flags.append(...this.figures);
      this.picture.replaceChildren(board.element);
      this.listWords();
      this.draw();
    }

    /** The words, one of which is chosen, and the shares of each. */
    listWords() {
      const { names, p, shares, weights, words } = this.scene;
      const heads = ["word", ...(p ? ["p"] : []), ...names, ...(names.length ? ["elsewhere"] : []),
        "half lies on"];
      this.rows = words.map((word, t) => {
        const input = node("input", { type: "radio", name: "word", value: t,
          checked: t === this.t, onchange: () => this.choose(t) });
        const bar = (value, role) => node("td", { class: `share ${role}`,
          style: `--share: ${100 * value}%` }, percent(value));
        const elsewhere = Math.max(1 - shares[t].reduce((a, b) => a + b, 0), 0);
        return node("tr", {}, node("th", { scope: "row" },
          node("label", { class: "choice" }, input, word)),
        ...(p ? [node("td", {}, percent(p[t]))] : []),
        ...shares[t].map((value) => bar(value, "on")),
        ...(names.length ? [bar(elsewhere, "off")] : []),
        node("td", {}, `${half(weights[t])} of ${weights[t].length}`));
      });
      this.listed.replaceChildren(node("table", {}, node("caption", {}, names.length
        ? "The words, and where the weight of each lies" : "The words, and their weights"),
      node("tr", {}, ...heads.map((text) => node("th", { scope: "col" }, text))), ...this.rows));
    }

    choose(t) {
      this.t = t;
      this.draw();
      this.tellSoon(() => this.words());
    }

    tellSoon(words) {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(words()), QUIET);
    }

    draw() {
      this.rows.forEach((row, t) => row.classList.toggle("now", t === this.t));
      this.drawMap();
      this.told.textContent = this.words();
      const { grid: [h, w], weights } = this.scene;
      const line = (r) => weights[this.t].slice(r * w, (r + 1) * w)
        .map((weight) => node("td", {}, (100 * weight).toFixed(1)));
      const heads = Array.from({ length: w }, (_, c) => node("th", { scope: "col" }, String(c)));
      this.weights.replaceChildren(node("table", {},
        node("caption", {}, `Weights of \u201c${this.scene.words[this.t]}\u201d in %, by row and ` +
          "column of the map"),
        node("tr", {}, node("td"), ...heads),
        ...Array.from({ length: h }, (_, r) =>
          node("tr", {}, node("th", { scope: "row" }, String(r)), ...line(r)))));
    }

    drawMap() {
      const { most, weights } = this.scene;
      weights[this.t].forEach((weight, i) => {
        this.places[i].style.fillOpacity = (STRONG * weight / most).toFixed(3);
        this.figures[i].textContent = this.numbers && weight >= TOLD
          ? (100 * weight).toFixed(0) : "";
      });
    }

    /** What is seen of the chosen word. */
    words() {
      const { grid: [, w], names, shares, weights, words } = this.scene;
      const map = weights[this.t];
      const at = map.indexOf(Math.max(...map));
      const on = names.map((name, n) =>
        `${percent(shares[this.t][n])} ${n ? "" : "of the weight "}on the ${name}`);
      return `\u201c${words[this.t]}\u201d: ${on.join(", ")}${on.length ? "; " : ""}the largest ` +
        `weight, ${percent(map[at])}, at row ${Math.floor(at / w)}, column ${at % w} of the map; ` +
        `half of all lies on ${half(map)} of ${map.length} places.`;
    }
  };
});
