/* <course-moving-digit>: a digit that one moves, and a trained network that reads it.
 *
 * Drag the digit; drag the knob at its corner to turn and scale it. On the canvas the arrow keys
 * move it, and with Shift they turn and scale it; sliders do each of the four. Every change runs
 * the network: its maps, how far they are from those of the digit in the middle, the probability
 * of each class, and a map of all shifts that says where the answer is right.
 */
"use strict";

courseFigures.define("course-moving-digit", (course) => {
  const { choices, Figure, network, node, number, pixels, placed, shape, slider } = course;
  const { Picture } = pixels;

  const ACTIVATIONS = ["relu", "sigmoid", "tanh"];
  const ROLES = ["ink", "prediction", "gradient"];
  const QUIET = 600;  // milliseconds without a change, until it is told
  const ROOM = 64;  // pixels of a bar of 100 %
  const BUDGET = 7;  // milliseconds of each frame for the map of shifts
  const KEYS = {  // without and with Shift: what changes, by how many steps
    ArrowLeft: [["dx", -1], ["turn", 1]],
    ArrowRight: [["dx", 1], ["turn", -1]],
    ArrowUp: [["dy", -1], ["zoom", 1]],
    ArrowDown: [["dy", 1], ["zoom", -1]],
  };
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const percent = (share) => `${Math.round(100 * share)}%`;
  const best = (probabilities) => probabilities.indexOf(Math.max(...probabilities));
  const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

  return class extends Figure {
    label = "A digit that moves";
    sheets = ["pixels", "choices", "moving-digit"];

    build(data) {
      const { networks, digits, labels, reach, scale, scales, step } = data;
      const zoom = (share) => Math.round(share / step.scale);
      const turns = Math.floor(180 / step.angle);
      this.limits = { dx: [-reach, reach], dy: [-reach, reach], turn: [-turns, turns],
        zoom: [Math.ceil(scales[0] / step.scale - 1e-9), zoom(scales[1])] };
      Object.assign(this, { data, labels, digits: digits.map(network.decode), digit: 0 });
      this.rest = { dx: 0, dy: 0, turn: 0, zoom: zoom(scale) };
      this.state = { ...this.rest };
      this.networks = new Map(Object.entries(networks).map(([name, layers]) =>
        [name, this.prepared(network.load(layers))]));
      [this.name] = this.networks.keys();
      this.stage.append(
        node("div", { class: "controls" }, ...this.choosers()),
        node("div", { class: "bench" },
          node("div", { class: "hand" }, this.board(), this.verdict = node("p"), this.sliders(),
            this.shiftMap()),
          this.answerBars(), this.layerMaps()));
      pixels.followTheme(this, ROLES, (colours) => this.colour(colours));
      this.show(false);
    }

    /** A network with what it returns for every digit at rest, and the rows of maps to show. */
    prepared(layers) {
      const rows = [];
      layers.forEach(({ kind, name, shape: sizes }, at) => {
        if (ACTIVATIONS.includes(kind) && rows.length) rows.at(-1).at = at;
        else rows.push({ name, sizes, at });
      });
      rows.pop();  // the logits: the bars show them
      const atRest = this.digits.map((_, n) => network.forward(layers, this.image(n, this.rest)));
      const sizes = (at) => atRest.map((outputs) =>
        outputs[at].data.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
      for (const row of rows) row.most = Math.max(...sizes(row.at)) || 1;
      return { layers, rows, atRest };
    }

    /** What the network gets to see: digit `n` as `state` places it. */
    image(n, state) {
      const { size, values: [paper, ink] } = this.data;
      const ground = placed(this.digits[n], size, this.placement(state));
      return { data: ground.map((value) => paper + (ink - paper) * value), shape: [1, size, size] };
    }

    placement({ dx, dy, turn, zoom }) {
      const { angle, scale } = this.data.step;
      return { dx, dy, angle: turn * angle, scale: zoom * scale };
    }

    choosers() {
      this.faces = this.digits.map(({ data, shape: [H, W] }) => {
        const face = new Picture(W, H);
        return { face, draw: () => face.paint((i) => [this.colours.ink, data[i]]) };
      });
      const digit = choices({ legend: "digit", name: "digit", value: 0,
        options: this.faces.map(({ face }, value) =>
          ({ value, text: this.called(value), face: face.element })),
        onchoose: (value) => this.choose({ digit: value }) });
      if (this.networks.size === 1) return [digit.element];
      const names = [...this.networks.keys()];
      const which = choices({ legend: "network", name: "network", value: this.name,
        options: names.map((value) => ({ value, text: value })),
        onchoose: (name) => this.choose({ name }) });
      this.answers = new Map(names.map((name) => {
        const answer = node("span", { class: "answer", "aria-hidden": "true" });
        which.boxes.get(name).append(answer);
        return [name, answer];
      }));
      which.element.classList.add("networks");
      return [digit.element, which.element];
    }

    /** "a 3", or "a 3, number 2" where there are several. */
    called(n) {
      const same = this.labels.slice(0, n + 1).filter((label) => label === this.labels[n]).length;
      return `a ${this.labels[n]}${same > 1 ? `, number ${same}` : ""}`;
    }

    /** The canvas, with the frame of the digit and its knob. */
    board() {
      const { size } = this.data;
      this.canvas = new Picture(size, size, { "aria-hidden": "true" });
      this.frame = shape("rect", { class: "frame" });
      this.knob = shape("g", { class: "knob" }, shape("circle", { r: size / 16, class: "reach" }),
        shape("circle", { r: size / 42 }));
      this.drawing = shape("svg", { viewBox: `0 0 ${size} ${size}`, "aria-hidden": "true",
        onpointerdown: (event) => this.grasp(event), onpointermove: (event) => this.drag(event),
        onpointerup: () => { this.held = null; }, onpointercancel: () => { this.held = null; },
      }, this.frame, this.knob);
      return node("div", { class: "board", tabindex: 0, role: "application",
        "aria-label": "Canvas: the arrow keys move the digit, with Shift they turn and scale it",
        onkeydown: (event) => this.key(event) }, this.canvas.element, this.drawing);
    }

    sliders() {
      const { angle, scale } = this.data.step;
      const control = (label, what, words) => slider({ label, min: this.limits[what][0],
        max: this.limits[what][1], value: this.state[what], words,
        onmove: (value) => this.move({ [what]: value }) });
      const shift = (value) => `${number(value)} px`;
      this.controls = {
        dx: control("right", "dx", shift),
        dy: control("down", "dy", shift),
        turn: control("turn", "turn", (value) => `${number(value * angle)}\u00b0`),
        zoom: control("size", "zoom", (value) => percent(value * scale)),
      };
      const reset = node("button", { type: "button", onclick: () => this.move(this.rest) },
        "Back to the middle");
      return node("div", { class: "sliders" },
        ...Object.values(this.controls).map(({ element }) => element), reset);
    }

    answerBars() {
      this.bars = node("div", { class: "bars", role: "img" });
      return node("div", { class: "answers" }, node("p", { class: "head" },
        "Probability of each class in percent; framed is the true one"), this.bars);
    }

    layerMaps() {
      const key = (name) => node("span", { class: `key ${name}` }, name);
      this.maps = node("div");
      return node("div", { class: "maps" }, node("p", { class: "head" },
        "What each layer returns, and how far that is from what it returns with the digit in the ",
        "middle: ", key("positive"), " ", key("negative")), this.maps);
    }

    /** All shifts at once: filled where the answer is right, the stronger the surer. */
    shiftMap() {
      const across = 2 * this.data.reach + 1;
      this.shifts = { across, right: new Float32Array(across * across), done: 0,
        picture: new Picture(across, across, { "aria-hidden": "true" }) };
      this.spot = shape("rect", { width: 1, height: 1, class: "spot" });
      const grid = shape("svg", { viewBox: `0 0 ${across} ${across}`, "aria-hidden": "true",
        onpointerdown: (event) => this.jump(event),
        onpointermove: (event) => event.buttons && this.jump(event) }, this.spot);
      this.told = node("p", { class: "told" });
      return node("div", { class: "shifts" },
        node("div", { class: "plane" }, this.shifts.picture.element, grid), this.told);
    }

    choose(change) {
      Object.assign(this, change);
      this.show();
    }

    /** Take another place, turn or size, as far as the controls go. */
    move(change) {
      for (const [what, value] of Object.entries(change)) {
        this.state[what] = clamp(value, ...this.limits[what]);
      }
      this.request();
    }

    key(event) {
      const found = KEYS[event.key];
      if (!found || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const [what, steps] = found[Number(event.shiftKey)];
      this.move({ [what]: this.state[what] + steps });
    }

    /** Where a pointer is, in pixels of the canvas. */
    at({ clientX, clientY }) {
      const { left, top, width } = this.drawing.getBoundingClientRect();
      return [clientX - left, clientY - top].map((x) => x * this.data.size / width);
    }

    grasp(event) {
      event.preventDefault();
      this.drawing.setPointerCapture(event.pointerId);
      this.drawing.parentElement.focus({ focusVisible: false });
      const knob = this.knob.contains(event.target);
      this.held = { at: this.at(event), state: { ...this.state }, knob };
    }

    drag(event) {
      if (!this.held) return;
      const { at, state, knob } = this.held;
      const now = this.at(event);
      if (!knob) {
        this.move({ dx: Math.round(state.dx + now[0] - at[0]),
          dy: Math.round(state.dy + now[1] - at[1]) });
        return;
      }
      const middle = [state.dx, state.dy].map((shift) => this.data.size / 2 + shift);
      const [[ax, ay], [bx, by]] = [at, now].map((p) => p.map((x, k) => x - middle[k]));
      const turned = (Math.atan2(ay, ax) - Math.atan2(by, bx)) * 180 / Math.PI;
      const turns = this.limits.turn[1];
      let turn = Math.round(state.turn + turned / this.data.step.angle);
      if (turn > turns) turn -= 2 * turns;
      if (turn < -turns) turn += 2 * turns;
      this.move({ turn, zoom: Math.round(state.zoom * Math.hypot(bx, by) / Math.hypot(ax, ay)) });
    }

    /** A press on the map of shifts moves the digit there. */
    jump(event) {
      const { across } = this.shifts;
      const { left, top, width } = event.currentTarget.getBoundingClientRect();
      const [column, row] = [event.clientX - left, event.clientY - top].map((x) =>
        Math.floor(x * across / width));
      this.move({ dx: column - this.data.reach, dy: row - this.data.reach });
    }

    /** Draw with the next frame. */
    request() {
      if (!this.frameAsked) {
        this.frameAsked = requestAnimationFrame(() => {
          this.frameAsked = null;
          this.draw();
        });
      }
      this.tellSoon();
    }

    tellSoon() {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(this.words()), QUIET);
    }

    /** Show another digit or network. */
    show(told = true) {
      this.rows = this.networks.get(this.name).rows.map((row) => this.row(row));
      this.maps.replaceChildren(...this.rows.map(({ element }) => element));
      const classes = this.networks.get(this.name).layers.at(-1).shape[0];
      this.columns = Array.from({ length: classes }, (_, k) => {
        const fill = node("div", { class: "fill" });
        const words = node("span", { class: "share" });
        const element = node("div", { class: "column" },
          node("div", { class: "room" }, words, fill), node("span", { class: "class" }, String(k)));
        return { element, fill, words };
      });
      this.bars.replaceChildren(...this.columns.map(({ element }) => element));
      this.draw();
      if (told) this.tellSoon();
    }

    /** The maps of one layer; numbers without place stand in a strip. */
    row({ name, sizes, at, most }) {
      const [C, H = 1, W = 1] = sizes;
      const flat = H * W === 1;
      const pictures = flat ? [new Picture(C, 1, { class: "picture strip" })]
        : Array.from({ length: C }, () => new Picture(W, H));
      const what = flat ? `${C} numbers` : `${C} maps of ${H}\u00d7${W}`;
      const change = node("span", { class: "change" });
      const bar = node("span", { class: "bar" });
      const times = Math.max(Math.round(10 / Math.sqrt(W)), Math.ceil(24 / W));  // whole pixels
      const side = flat ? "" : `--side: ${times * W}px`;
      return { at, most, pictures, change, bar, pixels: flat ? C : H * W,
        element: node("div", { class: "row" },
          node("p", {}, node("span", {}, node("b", {}, name), ` ${what}`), change, bar),
          node("div", { class: "pictures", role: "img", "aria-label": `${name}: ${what}`,
            style: side }, ...pictures.map(({ element }) => element))) };
    }

    colour(colours) {
      this.colours = colours;
      for (const { draw } of this.faces) draw();
      if (this.rows) this.draw();
    }

    draw() {
      const { state, digit, data } = this;
      const { layers, atRest } = this.networks.get(this.name);
      const image = this.image(digit, state);
      const [paper, ink] = data.values;
      this.canvas.paint((i) => [this.colours.ink, (image.data[i] - paper) / (ink - paper)]);
      this.outputs = network.forward(layers, image);
      this.drawRows(atRest[digit]);
      this.found = new Map([...this.networks].map(([name, other]) => {
        const outputs = name === this.name ? this.outputs : network.forward(other.layers, image);
        return [name, network.softmax(outputs.at(-1).data)];
      }));
      this.drawAnswer();
      this.drawFrame();
      for (const [what, { show }] of Object.entries(this.controls)) show(state[what]);
      this.startShifts();
    }

    drawRows(rest) {
      const { gradient, prediction } = this.colours;
      for (const { at, most, pictures, change, bar, pixels: length } of this.rows) {
        const { data } = this.outputs[at];
        const look = (value) =>
          [value < 0 ? gradient : prediction, Math.min(Math.abs(value) / most, 1)];
        pictures.forEach((picture, c) => picture.paint((i) => look(data[c * length + i])));
        const far = norm(data.map((value, i) => value - rest[at].data[i]));
        const share = far / (norm(rest[at].data) || 1);
        change.textContent = `differs by ${percent(share)}`;
        bar.style.width = `${3 * Math.min(share, 1.5)}em`;
      }
    }

    drawAnswer() {
      const truth = this.labels[this.digit];
      const shares = this.found.get(this.name);
      const answer = best(shares);
      this.columns.forEach(({ element, fill, words }, k) => {
        words.textContent = Math.round(100 * shares[k]) || "";
        fill.style.height = `${ROOM * shares[k]}px`;
        element.classList.toggle("truth", k === truth);
        element.classList.toggle("answer", k === answer);
      });
      this.bars.setAttribute("aria-label", `Probability of each class: ${shares.map((share, k) =>
        `${k} ${percent(share)}`).join(", ")}`);
      const right = answer === truth;
      this.verdict.className = `verdict ${right ? "right" : "wrong"}`;
      this.verdict.replaceChildren(`Reads `, node("b", {}, String(answer)),
        ` with ${percent(shares[answer])}: `, node("b", {}, right ? "right" : "wrong"));
      for (const [name, element] of this.answers || []) {
        const its = this.found.get(name);
        element.textContent = `${best(its)}, ${percent(its[best(its)])}`;
        element.classList.toggle("wrong", best(its) !== truth);
      }
    }

    drawFrame() {
      const { size } = this.data;
      const { dx, dy, angle, scale } = this.placement(this.state);
      const half = scale * size / 2;
      const [x, y] = [size / 2 + dx, size / 2 + dy];
      for (const [name, value] of Object.entries({ x: -half, y: -half, width: 2 * half,
        height: 2 * half, transform: `translate(${x} ${y}) rotate(${-angle})` })) {
        this.frame.setAttribute(name, value);
      }
      const [cos, sin] = [Math.cos, Math.sin].map((f) => half * f(angle * Math.PI / 180));
      const knob = [x + cos - sin, y - sin - cos].map((p) => clamp(p, size / 24, size * 23 / 24));
      this.knob.setAttribute("transform", `translate(${knob[0]} ${knob[1]})`);
      this.spot.setAttribute("x", dx + this.data.reach);
      this.spot.setAttribute("y", dy + this.data.reach);
    }

    /** Begin the map of shifts anew, unless it is the one that is wanted. */
    startShifts() {
      const { turn, zoom } = this.state;
      const wanted = JSON.stringify([this.name, this.digit, turn, zoom]);
      if (this.shifts.of === wanted) {
        this.drawShifts();
        return;
      }
      Object.assign(this.shifts, { of: wanted, done: 0, count: 0 });
      this.drawShifts();
      clearTimeout(this.shifts.waiting);
      this.shifts.waiting = setTimeout(() => this.stepShifts(wanted), 150);
    }

    /** Fill the map of shifts for a few milliseconds, and go on with the next frame. */
    stepShifts(wanted) {
      if (this.shifts.of !== wanted || !this.isConnected) return;
      const { across, right } = this.shifts;
      const { layers } = this.networks.get(this.name);
      const truth = this.labels[this.digit];
      const end = performance.now() + BUDGET;
      while (this.shifts.done < right.length && performance.now() < end) {
        const i = this.shifts.done;
        const [dx, dy] = [i % across, Math.floor(i / across)].map((n) => n - this.data.reach);
        const image = this.image(this.digit, { ...this.state, dx, dy });
        const shares = network.softmax(network.forward(layers, image).at(-1).data);
        right[i] = best(shares) === truth ? shares[truth] : 0;
        this.shifts.count += Number(right[i] > 0);
        this.shifts.done += 1;
      }
      this.drawShifts();
      if (this.shifts.done < right.length) requestAnimationFrame(() => this.stepShifts(wanted));
    }

    drawShifts() {
      const { right, done, count, picture } = this.shifts;
      const { prediction } = this.colours;
      picture.paint((i) => [prediction, i < done ? right[i] && 0.25 + 0.75 * right[i] : 0]);
      this.told.textContent = done < right.length ? "All shifts at this turn and size ..."
        : `Right at ${count} of ${done} shifts (filled), at this turn and size.`;
    }

    /** The state in words. */
    words() {
      const { dx, dy, angle, scale } = this.placement(this.state);
      const size = (value, more, less) => value && `${Math.abs(value)} ${value > 0 ? more : less}`;
      const shift = [size(dx, "right", "left"), size(dy, "down", "up")].filter(Boolean);
      const place = [
        shift.length ? `moved ${shift.join(" and ")}` : "in the middle",
        angle && `turned ${size(angle, "degrees counter-clockwise", "degrees clockwise")}`,
        `at ${percent(scale)}`,
      ].filter(Boolean).join(", ");
      const reads = [...this.found].map(([name, shares]) =>
        `${name} reads ${best(shares)} with ${percent(shares[best(shares)])}`);
      return `The digit is ${this.called(this.digit)}, ${place}: ${reads.join("; ")}.`;
    }
  };
});
