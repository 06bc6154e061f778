/* <course-architecture-editor>: a network to edit, with what every layer puts out, holds and costs.
 *
 * Choose a network; open a layer to change its numbers, to move or remove it, to add one after it.
 * Up and Down go from layer to layer, with Alt they move it, Enter opens it, Delete removes it;
 * Control+Z takes back. What cannot be is said at its layer, and the layers after it wait.
 */
"use strict";

courseFigures.define("course-architecture-editor", ({ counting, Figure, node, shape }) => {
  const { DOT, TIMES, exact, memory, percent, shapeOf, short } = counting;

  const KINDS = {
    input: { title: "image" },
    conv: { title: "convolution" },
    pool: { title: "pooling" },
    fc: { title: "fully connected" },
    gap: { title: "global average" },
  };
  const MEASURES = {
    parameters: { title: "parameters", of: "parameters", role: "weight", key: "parameters",
      write: short, full: exact },
    memory: { title: "memory of values", of: "memory", role: "prediction", key: "values",
      write: memory, full: memory },
    operations: { title: "multiply-accumulates", of: "operations", role: "ink", key: "macs",
      write: short, full: exact },
  };
  const LABELS = { filters: "filters", kernel: "kernel", stride: "stride", padding: "padding",
    groups: "groups", units: "units", size: "rows and columns", channels: "channels" };
  const MOST_LAYERS = 60;
  const PROFILE = { width: 720, height: 118, ground: 108 };

  /** A small picture of the kind of layer. */
  function icon(kind) {
    const paths = {
      input: "M2 3h14v12H2zM2 12l4-4 3 3 3-4 4 5",
      conv: "M2 2h14v14H2zM2 9h7V2M5.5 5.5h0",
      pool: "M2 2h14v14H2zM9 2v14M2 9h14",
      fc: "M3 3L15 9M3 9L15 9M3 15L15 9M3 3L15 15M3 15L15 3",
      gap: "M2 2h14v14H2zM9 9h0",
    };
    return shape("svg", { viewBox: "0 0 18 18", class: `icon ${kind}`, "aria-hidden": "true" },
      shape("path", { d: paths[kind] }));
  }

  /** The settings of a layer, as short as they can be. */
  function settings(layer) {
    if (layer.kind === "fc" || layer.kind === "gap") return KINDS[layer.kind].title;
    const { kernel, stride, padding, groups = 1 } = layer;
    return [`${kernel} ${TIMES} ${kernel}`, stride > 1 && `stride ${stride}`,
      padding > 0 && `pad ${padding}`, groups > 1 && `${groups} groups`].filter(Boolean).join(", ");
  }

  return class extends Figure {
    label = "A network, layer by layer";
    sheets = ["architecture-editor"];

    build(data) {
      Object.assign(this, { data, measure: data.measure, past: [], future: [], items: new Map() });
      this.ids = 0;
      this.list = node("ol", { class: "layers", onkeydown: (event) => this.keys(event) });
      this.insight = node("p", { class: "insight" });
      this.profile = node("div", { class: "profile" });
      this.about = node("p", { class: "about" });
      this.hint = node("p", { class: "hint", id: "how" }, "Open a layer to change it. ",
        node("span", { class: "by-keys" }, "Up and Down go from layer to layer, with Alt they " +
          "move it; Delete removes it."));
      this.stage.addEventListener("keydown", (event) => this.undoKey(event));
      this.stage.append(this.controls(), this.about, this.totals(), this.profile,
        this.hint, this.head(), this.list, this.insight);
      this.load(data.preset);
    }

    controls() {
      const options = Object.entries(this.data.presets).map(([value, { title }]) =>
        node("option", { value }, title));
      this.select = node("select", { id: "network", onchange: () => this.choose() }, ...options);
      const button = (text, onclick) => node("button", { type: "button", onclick }, text);
      this.undoer = button("Undo", () => this.travel(this.past, this.future, "Taken back."));
      this.redoer = button("Redo", () => this.travel(this.future, this.past, "Done again."));
      this.resetter = button("Reset", () => this.reset());
      return node("div", { class: "controls" },
        node("span", { class: "labelled" }, node("label", { for: "network" }, "network"),
          this.select),
        node("span", { class: "buttons" }, this.undoer, this.redoer, this.resetter));
    }

    /** Three sums, one of which the bars show. */
    totals() {
      this.sums = {};
      const cards = Object.entries(MEASURES).map(([name, { title, role }]) => {
        const [value, note] = [node("b"), node("small")];
        const input = node("input", { type: "radio", name: "measure", value: name,
          checked: name === this.measure, onchange: () => this.show(name) });
        this.sums[name] = { input, value, note };
        return node("label", { class: "total", style: `--role: var(--course-${role})` },
          node("span", { class: "of" }, input, title), value, note);
      });
      return node("fieldset", { class: "totals" },
        node("legend", {}, "The whole network; the bars below show"), ...cards);
    }

    head() {
      const cell = (name, text) => node("span", { class: name }, text);
      return node("div", { class: "columns head", "aria-hidden": "true" }, cell("icon", ""),
        cell("name", "layer"), cell("output", "output"),
        ...Object.entries(MEASURES).map(([name, { of }]) => cell(`number ${name}`, of)),
        cell("number field", "sees"), cell("number jump", "stride"), cell("share", "share"));
    }

    choose() {
      this.remember();
      this.load(this.select.value);
      this.say(`${this.title()} ${this.summary()}`);
    }

    reset() {
      if (!this.isChanged()) return;
      this.remember();
      this.load(this.preset);
      this.say(`${this.title()} as it was. ${this.summary()}`);
    }

    title() {
      return `${this.data.presets[this.preset].title}.`;
    }

    load(preset) {
      const { channels, size, layers } = this.data.presets[preset];
      const given = layers.map((layer) => ({ ...layer, id: this.ids += 1 }));
      this.preset = preset;
      this.net = { channels, size, layers: given };
      this.open = null;
      this.current = 0;
      this.draw();
    }

    /** Keep what is there for Undo; the steps of one and the same edit are taken back together. */
    remember(edit = null) {
      if (edit && edit === this.edit && this.past.length) return;
      this.edit = edit;
      this.past.push(this.state());
      this.future = [];
    }

    state() {
      const { net, preset, open, current } = this;
      return JSON.stringify({ net, preset, open, current });
    }

    travel(from, to, words) {
      if (!from.length) return;
      to.push(this.state());
      Object.assign(this, JSON.parse(from.pop()), { edit: null });
      const focused = this.shadowRoot.activeElement;
      this.draw();
      if (focused?.isConnected) focused.focus();
      else this.itemAt(this.current).row.focus();
      this.say(`${words} ${this.summary()}`);
    }

    undoKey(event) {
      const key = event.key.toLowerCase();
      if (!(event.ctrlKey || event.metaKey) || event.altKey || (key !== "z" && key !== "y")) return;
      event.preventDefault();
      (key === "y" || event.shiftKey ? this.redoer : this.undoer).click();
    }

    /** Up, Down, Home, End on the layers; with Alt, Up and Down move the layer; Delete removes. */
    keys(event) {
      const row = event.target.closest(".row");
      if (!row || event.ctrlKey || event.metaKey) return;
      const [at, last] = [this.current, this.net.layers.length];
      const target = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: last }[event.key];
      if (event.key === "Delete" && at > 0) this.remove(at);
      else if (target === undefined) return;
      else if (!event.altKey) this.focusOn(Math.min(Math.max(target, 0), last));
      else if (event.key.startsWith("Arrow") && at > 0) this.move(at, target, true);
      event.preventDefault();
    }

    focusOn(at) {
      this.current = at;
      this.rove();
      this.itemAt(at).row.focus();
    }

    toggle(id) {
      this.open = this.open === id ? null : id;
      this.current = this.positionOf(id);
      this.edit = null;
      this.draw();
    }

    set(id, name, value) {
      this.remember(`${id} ${name}`);
      const target = id === 0 ? this.net : this.net.layers[this.positionOf(id) - 1];
      target[name] = value;
      this.draw();
      this.say(`${this.describe(this.positionOf(id))} ${this.summary()}`);
    }

    move(from, to, byKeys = false) {
      if (from < 1 || to < 1 || to > this.net.layers.length) return;
      this.remember();
      const button = this.shadowRoot.activeElement;
      const [layer] = this.net.layers.splice(from - 1, 1);
      this.net.layers.splice(to - 1, 0, layer);
      this.current = to;
      this.draw();
      (byKeys || !button ? this.itemAt(to).row : button).focus();
      this.say(`${layer.name} is now layer ${to} of ${this.net.layers.length}. ` +
        `${this.describe(to)} ${this.summary()}`);
    }

    remove(at) {
      this.remember();
      const [{ id, name }] = this.net.layers.splice(at - 1, 1);
      if (this.open === id) this.open = null;
      this.current = Math.min(at, this.net.layers.length);
      this.draw();
      this.focusOn(this.current);
      this.say(`${name} is removed. ${this.summary()}`);
    }

    /** Put a new layer after place `at`, open it, and go there. */
    add(kind, at) {
      if (this.net.layers.length >= MOST_LAYERS) {
        this.say(`${MOST_LAYERS} layers are enough for this figure.`);
        return;
      }
      this.remember();
      const taken = new Set(this.net.layers.map(({ name }) => name));
      let n = 1;
      while (taken.has(`${kind}${n}`)) n += 1;
      const layer = { kind, name: `${kind}${n}`, id: this.ids += 1 };
      for (const [name, [, , usual]] of Object.entries(this.data.fields[kind])) layer[name] = usual;
      this.net.layers.splice(at, 0, layer);
      this.open = layer.id;
      this.draw();
      this.focusOn(at + 1);
      this.say(`${layer.name}, ${KINDS[kind].title}, is added. ${this.describe(at + 1)} ` +
        this.summary());
    }

    show(measure) {
      this.measure = measure;
      this.draw();
      this.say(this.insight.textContent);
    }

    /** The image, then the layers: what `this.rows` and the list have at each place. */
    all() {
      return [{ kind: "input", name: "input", id: 0 }, ...this.net.layers];
    }

    positionOf(id) {
      return this.all().findIndex((layer) => layer.id === id);
    }

    itemAt(at) {
      return this.items.get(this.all()[at].id);
    }

    isChanged() {
      const { channels, size, layers } = this.data.presets[this.preset];
      const plain = this.net.layers.map(({ id, ...layer }) => layer);
      return JSON.stringify([channels, size, layers]) !==
        JSON.stringify([this.net.channels, this.net.size, plain]);
    }

    draw() {
      const { channels, size, layers } = this.net;
      const image = { channels, size, left: 0, values: channels * size ** 2, parameters: 0,
        macs: 0, field: 1, stride: 1, jump: 1 };
      this.rows = [image, ...counting.count(channels, size, layers)];
      this.sum = this.summed(this.rows);
      this.arrange();
      this.all().forEach((layer, at) => this.paint(layer, at));
      this.rove();
      this.drawTotals();
      this.drawProfile();
      this.insight.textContent = this.words();
    }

    /** Parameters, values and multiply-accumulates of all rows that could be counted. */
    summed(rows) {
      const known = rows.filter((row) => "values" in row);
      const total = (key) => known.reduce((sum, row) => sum + row[key], 0);
      return { parameters: total("parameters"), values: total("values"), macs: total("macs"),
        stuck: rows.findIndex((row) => row.problem) };
    }

    /** Bring the items into the order of the layers, without touching those in their place. */
    arrange() {
      const layers = this.all();
      const kept = new Set(layers.map(({ id }) => id));
      for (const [id, { element }] of this.items) {
        if (!kept.has(id)) {
          element.remove();
          this.items.delete(id);
        }
      }
      layers.forEach((layer, at) => {
        if (!this.items.has(layer.id)) this.items.set(layer.id, this.item(layer));
        const { element } = this.items.get(layer.id);
        const before = this.list.children[at];
        if (before !== element) this.list.insertBefore(element, before || null);
      });
    }

    /** The row of a layer: a button that opens what can be changed. */
    item({ kind, id }) {
      const cell = (name) => node("span", { class: name });
      const cells = { title: node("b"), settings: node("small"), output: cell("output"),
        parameters: cell("number parameters"), memory: cell("number memory"),
        operations: cell("number operations"), field: cell("number field"),
        jump: cell("number jump"), bar: node("i", { class: "bar" }), percent: cell("percent"),
        problem: cell("problem") };
      const { title, settings: set, bar, percent: share, problem, ...numbers } = cells;
      const row = node("button", { type: "button", class: "columns row", "aria-expanded": "false",
        "aria-describedby": "how", onclick: () => this.toggle(id) },
      node("span", { class: "icon" }, icon(kind)), node("span", { class: "name" }, title, set),
      ...Object.values(numbers), node("span", { class: "share" }, node("span",
        { class: "track" }, bar), share), problem);
      const element = node("li", {}, row);
      return { element, row, cells, panel: null };
    }

    paint(layer, at) {
      const item = this.items.get(layer.id);
      const { cells, row } = item;
      const counted = this.rows[at];
      const known = "values" in counted;
      const measure = MEASURES[this.measure];
      const total = this.sum[measure.key];
      const largest = Math.max(...this.rows.map((one) => one[measure.key] || 0));
      cells.title.textContent = layer.name;
      cells.settings.textContent = layer.kind === "input" ? "the image" : settings(layer);
      cells.output.textContent = known ? shapeOf(counted) : counted.problem ? "" : "waits";
      for (const [name, { key, write }] of Object.entries(MEASURES)) {
        cells[name].textContent = known ? write(counted[key]) : "";
        cells[name].classList.toggle("none", !counted[key]);
      }
      cells.field.textContent = known && at ? `${counted.field} px` : "";
      cells.jump.textContent = known && at && counted.stride ? `${counted.stride} px` : "";
      const share = known && total ? counted[measure.key] / total : 0;
      cells.bar.style.setProperty("--length", known && largest
        ? counted[measure.key] / largest : 0);
      cells.percent.textContent = share ? percent(share) : "";
      cells.problem.textContent = counted.problem || "";
      row.className = ["columns row", counted.problem && "stuck", counted.waits && "waiting"]
        .filter(Boolean).join(" ");
      const which = at ? `Layer ${at}: ` : "";
      row.setAttribute("aria-label", `${which}${this.describe(at)}`);
      const isOpen = this.open === layer.id;
      row.setAttribute("aria-expanded", isOpen);
      if (isOpen && !item.panel) {
        item.panel = this.panel(layer);
        item.element.append(item.panel.element);
      } else if (!isOpen && item.panel) {
        item.panel.element.remove();
        item.panel = null;
      }
      item.element.classList.toggle("open", isOpen);
      if (item.panel) this.paintPanel(item.panel, layer, at);
    }

    rove() {
      this.current = Math.min(this.current, this.net.layers.length);
      this.all().forEach(({ id }, at) => {
        this.items.get(id).row.tabIndex = at === this.current ? 0 : -1;
      });
    }

    drawTotals() {
      const preset = this.data.presets[this.preset];
      const before = this.summed([{ values: preset.channels * preset.size ** 2, parameters: 0,
        macs: 0 }, ...counting.count(preset.channels, preset.size, preset.layers)]);
      const changed = this.isChanged();
      for (const [name, { key, full, write }] of Object.entries(MEASURES)) {
        const { input, value, note } = this.sums[name];
        const [now, then] = [this.sum[key], before[key]];
        input.checked = name === this.measure;
        value.textContent = this.sum.stuck < 0 ? write(now) : "\u2013";
        const plain = name === "memory" ? `${exact(now)} values` : full(now);
        note.textContent = this.sum.stuck > 0 ? `waits for ${this.all()[this.sum.stuck].name}`
          : changed ? `${full(now)}, was ${write(then)}` : plain;
      }
      this.stage.dataset.measure = this.measure;
      this.stage.style.setProperty("--chosen", `var(--course-${MEASURES[this.measure].role})`);
      this.select.value = this.preset;
      this.about.textContent = `${changed ? "Changed. " : ""}${preset.about}`;
      // Not `disabled`: that would take the focus from whoever goes back by keyboard.
      this.undoer.setAttribute("aria-disabled", !this.past.length);
      this.redoer.setAttribute("aria-disabled", !this.future.length);
      this.resetter.setAttribute("aria-disabled", !changed);
    }

    panel({ kind, id, name }) {
      const ranges = kind === "input" ? { size: this.data.input.size,
        channels: this.data.input.channels } : this.data.fields[kind];
      const fields = Object.entries(ranges).map(([field, range]) =>
        this.field(id, field, range));
      const complaint = node("p", { class: "complaint", id: `complaint-${id}` });
      const sums = node("dl");
      const button = (text, onclick, label) =>
        node("button", { type: "button", onclick, "aria-label": label || false }, text);
      const at = () => this.positionOf(id);
      const moves = kind === "input" ? [] : [
        button("\u2191 Up", () => this.move(at(), at() - 1), `Move ${name} up`),
        button("\u2193 Down", () => this.move(at(), at() + 1), `Move ${name} down`),
        button("Remove", () => this.remove(at()), `Remove ${name}`),
      ];
      const adders = Object.keys(this.data.fields).map((other) => {
        const { title } = KINDS[other];
        return button(title, () => this.add(other, at()), `Add ${title} after ${name}`);
      });
      const element = node("div", { class: "panel", id: `panel-${id}`, role: "group",
        "aria-label": name },
      node("div", { class: "fields" }, ...fields.map((one) => one.element)), complaint, sums,
      node("div", { class: "actions" }, ...moves, node("span", { class: "adders" },
        node("span", { class: "add" }, "Add after it"), ...adders)));
      return { element, fields, complaint, sums, moves };
    }

    field(id, name, [least, most]) {
      const label = LABELS[name];
      const own = `${name}-${id}`;
      const input = node("input", { id: own, type: "number", inputmode: "numeric", min: least,
        max: most, step: 1, "aria-describedby": `complaint-${id}`,
        oninput: () => this.typed(id, name, input, [least, most]),
        onchange: () => this.settle(id, name, input) });
      return { element: node("span", { class: "labelled" }, node("label", { for: own }, label),
        input), input, name };
    }

    /** Take a number that is typed, or say which would do. */
    typed(id, name, input, [least, most]) {
      const value = Number(input.value);
      const { complaint } = this.items.get(id).panel;
      const good = input.value !== "" && Number.isInteger(value) && value >= least && value <= most;
      input.setAttribute("aria-invalid", !good);
      complaint.textContent = good ? ""
        : `${LABELS[name]}: a whole number from ${least} to ${exact(most)}, please.`;
      if (good) this.set(id, name, value);
      else this.say(complaint.textContent);
    }

    /** Leave no number standing that was not taken. */
    settle(id, name, input) {
      this.edit = null;
      const target = id === 0 ? this.net : this.net.layers[this.positionOf(id) - 1];
      if (input.getAttribute("aria-invalid") !== "true") return;
      input.value = target[name];
      input.setAttribute("aria-invalid", "false");
      this.items.get(id).panel.complaint.textContent = "";
    }

    paintPanel({ fields, moves, sums }, layer, at) {
      const target = at ? layer : this.net;
      for (const { input, name } of fields) {
        const taken = input.getAttribute("aria-invalid") !== "true";
        if (taken && input.value !== String(target[name])) input.value = target[name];
      }
      if (moves.length) {
        moves[0].setAttribute("aria-disabled", at === 1);
        moves[1].setAttribute("aria-disabled", at === this.net.layers.length);
      }
      const lines = this.worked(layer, at);
      sums.replaceChildren(...lines.flatMap(([name, text, note]) => [node("dt", {}, name),
        node("dd", {}, text, ...(note ? [node("span", { class: "note" }, note)] : []))]));
    }

    /** The sums of an open layer, written out. */
    worked(layer, at) {
      const row = this.rows[at];
      if (row.waits) return [["waits", `The layer ${row.waits} has to fit first.`]];
      if (row.problem) return [];  // its row says it
      const { channels: C, size: S, field, jump } = this.rows[Math.max(at - 1, 0)];
      const held = `${shapeOf(row)} = ${exact(row.values)} values, ${memory(row.values)}`;
      if (!at) return [["output", held]];
      const sees = (k) => `${field} + (${k} \u2212 1) ${DOT} ${jump} = ${row.field} pixels` +
        (row.field > this.net.size ? `, more than the ${this.net.size} of the image` : "");
      const { kind, kernel: k, stride: s, padding: p, groups: g } = layer;
      if (kind === "fc") {
        const inputs = S === 1 ? exact(C) : `(${S} ${DOT} ${S} ${DOT} ${C})`;
        const product = `${exact(layer.units)} ${DOT} ${inputs}`;
        return [["output", held], ["parameters",
          `${product} + ${exact(layer.units)} = ${exact(row.parameters)}`],
        ["operations", `${product} = ${exact(row.macs)}`], ["sees", sees(S)]];
      }
      if (kind === "gap") {
        return [["output", `the mean of each map: ${held}`],
          ["parameters", "none"], ["sees", sees(S)]];
      }
      const size = [["size", ...this.workedSize(S, layer, row)], ["output", held]];
      const places = `${row.size} ${DOT} ${row.size}`;
      const seen = [["sees", sees(k)], ["stride", `${jump} ${DOT} ${s} = ${row.stride} pixels`]];
      if (kind === "pool") {
        return [...size, ["parameters", "none"], ["operations", "no products"], ...seen];
      }
      const shared = g > 1 ? ` / ${g}` : "";
      const one = `(${k} ${DOT} ${k} ${DOT} ${C}${shared})`;
      const F = exact(layer.filters);
      return [...size,
        ["parameters", `${F} ${DOT} ${one} + ${F} = ${exact(row.parameters)}`],
        ["operations", `${places} ${DOT} ${F} ${DOT} ${one} = ${exact(row.macs)}`], ...seen];
    }

    /** How many places a window has; where that is not whole, what is lost and what would fit. */
    workedSize(S, { kernel: k, stride: s, padding: p }, { size, left }) {
      const padded = p ? `${S} + 2 ${DOT} ${p}` : `${S}`;
      const sum = `(${padded} \u2212 ${k}) / ${s} + 1 = `;
      if (!left) return [`${sum}${size}`];
      const exactly = Number((size + left / s).toFixed(2));
      const edge = left === 1 ? "row and column" : `${left} rows and columns`;
      const whose = p >= left ? " of the padding" : p ? ", padding included" : "";
      const even = [S - left, S - left + s].join(" or ");
      return [`${sum}${exactly}, rounded down: ${size}`,
        `Not whole: no window reaches the last ${edge}${whose}. ${even} would come out even.`];
    }

    /** Every output as a block: as high as its maps, as thick as it has channels. */
    drawProfile() {
      const { width, height, ground } = PROFILE;
      const known = this.rows.filter((row) => "values" in row);
      const tallest = Math.max(...known.map(({ size }) => size));
      const room = (width - 34) / this.rows.length;
      const blocks = this.rows.flatMap((row, at) => {
        const x = 6 + room * at;
        if (!("values" in row)) {
          return [row.problem
            ? shape("path", { class: "cross", d: `M${x} ${ground - 14}l14 14m0 -14l-14 14` })
            : shape("path", { class: "gap", d: `M${x} ${ground}h12` })];
        }
        const high = 5 + 70 * Math.sqrt(row.size / tallest);
        const thick = room * (0.05 + 0.052 * Math.log2(row.channels + 1));
        const deep = 0.34 * (high - 4);
        const kind = at ? this.net.layers[at - 1].kind : "input";
        const top = ground - high;
        const faces = [
          ["side", `M${x + thick} ${top}l${deep} ${-deep}v${high}l${-deep} ${deep}z`],
          ["lid", `M${x} ${top}h${thick}l${deep} ${-deep}h${-thick}z`],
          ["front", `M${x} ${top}h${thick}v${high}h${-thick}z`],
        ].map(([name, d]) => shape("path", { class: name, d }));
        const picked = this.all()[at].id === this.open ? " picked" : "";
        return [shape("g", { class: `block ${kind}${picked}`,
          onclick: () => this.toggle(this.all()[at].id) },
        shape("title", {}, `${this.all()[at].name}: ${shapeOf(row)}`), ...faces)];
      });
      const words = `${known.length - 1} layers from ${shapeOf(known[0])} to ` +
        `${shapeOf(known.at(-1))}, each drawn as high as its maps and as thick as its channels`;
      this.profile.replaceChildren(shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
        "aria-label": words }, shape("path", { class: "ground", d: `M0 ${ground}h${width}` }),
      ...blocks));
    }

    /** A layer in words, for those who hear the figure. */
    describe(at) {
      const layer = this.all()[at];
      const row = this.rows[at];
      const what = `${layer.name}, ${KINDS[layer.kind].title}` +
        (layer.kind === "conv" || layer.kind === "pool" ? `, ${settings(layer)}` : "");
      if (row.problem) return `${what}. Impossible: ${row.problem}`;
      if (row.waits) return `${what}. Waits for ${row.waits}.`;
      const { size, channels, parameters, values, macs, field, left } = row;
      const { key, of } = MEASURES[this.measure];
      const share = this.sum[key] ? row[key] / this.sum[key] : 0;
      const rest = at ? `, ${exact(parameters)} parameters, ${exact(macs)} multiply-accumulates, ` +
        `sees ${field} pixels` : "";
      return `${what}. Output ${size} by ${size} by ${channels}${left ? ", rounded down" : ""}, ` +
        `${memory(values)}${rest}. ${percent(share)} of the ${of}.`;
    }

    summary() {
      const { parameters, values, macs, stuck } = this.sum;
      if (stuck > 0) return `The network waits for ${this.all()[stuck].name}.`;
      return `The network: ${exact(parameters)} parameters, ${memory(values)}, ` +
        `${exact(macs)} multiply-accumulates.`;
    }

    /** Where most of the chosen measure is. */
    words() {
      const { stuck } = this.sum;
      if (stuck > 0) {
        const rest = this.rows.length - 1 - stuck;
        return `${this.all()[stuck].name} does not fit` +
          (rest ? `, and ${rest === 1 ? "the layer" : `${rest} layers`} after it ` +
            `${rest === 1 ? "waits" : "wait"}.` : ".");
      }
      const { key, of } = MEASURES[this.measure];
      const total = this.sum[key];
      const inline = (share) => percent(share).replace(" ", "\u00a0");  // not broken over a line
      if (!total) return `No layer has ${of} yet.`;
      const amounts = this.rows.map((row) => row[key]);
      const most = Math.max(...amounts);
      const whose = this.all().filter((_, at) => amounts[at] === most).map(({ name }) => name);
      const all = whose.length > 3 ? `${whose.length} layers` : whose.join(" and ");
      const lead = `${all} ${whose.length > 1 ? "have" : "alone has"} ${inline(most / total)}` +
        (whose.length > 1 ? " each" : "");
      const kinds = this.all().map(({ kind }) => kind);
      const of_ = (kind) => amounts.reduce((sum, n, at) => sum + (kinds[at] === kind ? n : 0), 0);
      const shares = ["conv", "fc"].filter((kind) => of_(kind)).map((kind) =>
        `${kind === "fc" ? "fully connected layers" : "convolutions"} ` +
        `${inline(of_(kind) / total)}`);
      return `Of the ${of}, ${lead}; all ${shares.join(", all ")}.`;
    }
  };
});
