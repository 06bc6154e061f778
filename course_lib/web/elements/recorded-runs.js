/* <course-recorded-runs>: curves of recorded runs, and a map of how all of them ended.
 *
 * Choose a value for each axis, or a cell of the map: one cell is in the tab order, the arrow keys
 * move from there, Home and End go to the ends of the row, Enter chooses. The curve is the median
 * over the seeds, its band goes from the least to the most. Up to three curves can be pinned and
 * compared with it.
 */
"use strict";

courseFigures.define("course-recorded-runs", (course) => {
  const { chart: { Chart, decades, evenly, scientific }, choices, Figure, node, shape, slider } =
    course;

  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const LEVELS = 4094, MISSING = 4095;
  const LETTERS = ["A", "B", "C"];
  const FEW = 6;  // values that are still offered one beside the other
  const QUIET = 500;  // ms without a change, before the figure says what it shows
  const STRONGEST = 45;  // percent of the colour in the worst cell of the map
  const same = (a, b) => a.every((value, n) => value === b[n]);
  const clamp = (n, size) => Math.min(Math.max(n, 0), size - 1);
  const MOVES = {  // ([row, column], columns) -> [row, column]
    ArrowUp: ([i, j]) => [i - 1, j],
    ArrowDown: ([i, j]) => [i + 1, j],
    ArrowLeft: ([i, j]) => [i, j - 1],
    ArrowRight: ([i, j]) => [i, j + 1],
    Home: ([i]) => [i, 0],
    End: ([i], columns) => [i, columns - 1],
  };

  return class extends Figure {
    label = "Recorded runs";
    sheets = ["choices", "chart", "recorded-runs"];

    build(data) {
      Object.assign(this, { data, at: [...data.start], pinned: data.pinned.map((at) => [...at]),
        map: [...data.map], final: 0 });
      this.settings = new Map(data.settings.map(([at, runs, diverged, finals, text]) =>
        [at.join(), { runs, diverged, finals, lines: this.read(text) }]));
      this.chart = new Chart({ xLabel: data.xName,
        yLabel: data.unit ? `${data.curve} in ${data.unit}` : data.curve });
      this.scale();
      this.letters = node("div", { class: "letters", "aria-hidden": "true" });
      this.chart.frame.append(this.letters);
      this.words = node("p", { class: "words" });
      this.pin = node("button", { type: "button", onclick: () => this.togglePin() });
      this.legend = node("ul", { class: "pins" });
      this.table = node("div", { class: "map" });
      this.stage.append(this.controls(), node("div", { class: "halves" },
        node("div", {}, this.chart.element, this.words, this.pin, this.legend),
        node("div", {}, this.mapControls(), this.table)));
      this.layMap();
      this.draw();
    }

    /** The three lines of a setting, median, least and most: numbers, or null. */
    read(text) {
      const { data: { limits, logarithmic, x } } = this;
      const ends = logarithmic ? limits.map(Math.log10) : limits;
      const numbers = [];
      for (let i = 0; i < text.length; i += 2) {
        const code = 64 * ALPHABET.indexOf(text[i]) + ALPHABET.indexOf(text[i + 1]);
        numbers.push(code === MISSING ? null
          : ends[0] + code / LEVELS * (ends[1] - ends[0]));
      }
      return [0, 1, 2].map((n) =>
        x.map((at, i) => [at, numbers[n * x.length + i]]));
    }

    scale() {
      const { limits, logarithmic, x } = this.data;
      const ends = logarithmic ? limits.map(Math.log10) : limits;
      const room = 0.03 * (ends[1] - ends[0]);
      const range = [Math.min(...x), Math.max(...x)];
      this.chart.scale({ x: range[0] < range[1] ? range : [range[0] - 1, range[0] + 1],
        y: [ends[0] - room, ends[1] + room], xTicks: evenly(...range),
        yTicks: logarithmic ? decades(...ends) : evenly(...ends) });
    }

    controls() {
      const { axes } = this.data;
      this.sets = axes.map(({ name, values }, n) => {
        const onchoose = (value) => this.choose(this.at.with(n, Number(value)));
        if (values.length > FEW) {
          const made = slider({ label: name, min: 0, max: values.length - 1, value: this.at[n],
            words: (value) => values[value], onmove: onchoose });
          return { element: made.element, show: made.show };
        }
        const made = choices({ legend: name, name: `axis-${n}`, value: this.at[n], onchoose,
          options: values.map((text, value) => ({ value, text })) });
        const show = (value) => {
          made.boxes.get(value).querySelector("input").checked = true;
        };
        return { element: made.element, show };
      });
      return node("div", { class: "controls" }, ...this.sets.map(({ element }) => element));
    }

    /** What the map shows: over which two axes, and which of the final values. */
    mapControls() {
      const { axes, finals } = this.data;
      const labelled = (id, label, select) => node("span", { class: "labelled" },
        node("label", { for: id }, label), select);
      const parts = [];
      if (axes.length > 2) {
        const pairs = axes.flatMap((_, i) => axes.flatMap((__, j) => (i < j ? [[i, j]] : [])));
        const start = [...this.map].sort().join();
        const select = node("select", { id: "map", onchange: () => {
          this.map = select.value.split(",").map(Number);
          this.layMap();
          this.draw();
        } }, ...pairs.map((pair) => {
          const value = pair.join() === start ? this.map.join() : pair.join();
          return node("option", { value, selected: pair.join() === start },
            pair.map((n) => axes[n].name).join(" and "));
        }));
        parts.push(labelled("map", "map of", select));
      }
      if (finals.length > 1) {
        const select = node("select", { id: "final", onchange: () => {
          this.final = Number(select.value);
          this.draw();
        } }, ...finals.map((text, value) => node("option", { value }, text)));
        parts.push(labelled("final", "showing", select));
      }
      return node("div", { class: "controls of-map" }, ...parts);
    }

    choose(at) {
      this.at = at;
      this.draw();
      this.tell(() => this.words.textContent);
    }

    tell(words) {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.say(words()), QUIET);
    }

    togglePin() {
      const place = this.pinned.findIndex((at) => same(at, this.at));
      if (place >= 0) this.unpin(place);
      else if (this.canPin()) {
        this.pinned.push([...this.at]);
        this.draw();
        this.tell(() => `Pinned as ${LETTERS[this.pinned.length - 1]}.`);
      }
    }

    unpin(place) {
      this.pinned.splice(place, 1);
      this.draw();
      this.tell(() => (this.pinned.length ? `${this.pinned.length} curves are pinned.`
        : "No curve is pinned."));
    }

    canPin() {
      return this.settings.has(this.at.join()) && this.pinned.length < LETTERS.length;
    }

    /** A setting in words: "hidden layers 20, gain 1.41". */
    named(at) {
      return at.map((value, n) => {
        const { name, values } = this.data.axes[n];
        return `${name} ${values[value]}`;
      }).join(", ");
    }

    /** How a setting ended, in words, for each of the final values. */
    ended(at) {
      const setting = this.settings.get(at.join());
      if (!setting) return "not recorded";
      const { diverged, runs } = setting;
      const { finals, finalUnit } = this.data;
      const unit = finalUnit ? ` ${finalUnit}` : "";
      const gone = diverged === runs ? "all" : `${diverged} of`;
      const told = diverged ? [`${gone} ${runs} runs diverged`] : [];
      finals.forEach((name, n) => {
        const [median, least, most] = setting.finals[n];
        if (least === null) return;
        const range = least === most ? "" : ` (${scientific(least)} to ${scientific(most)})`;
        const others = range || ` ${scientific(least)}`;
        told.push(median === null ? `${name} of the others${others}`
          : `${name} ${scientific(median)}${unit}${range}`);
      });
      return told.join(", ");
    }

    draw() {
      const { at, pinned, sets } = this;
      sets.forEach(({ show }, n) => show(at[n]));
      this.words.textContent = `${this.named(at)}: ${this.ended(at)}.`.replace(/^./, (letter) =>
        letter.toUpperCase());
      const place = pinned.findIndex((one) => same(one, at));
      this.pin.textContent = place < 0 ? "Pin this curve" : `Take ${LETTERS[place]} off`;
      const idle = place < 0 && !this.canPin();
      this.pin.setAttribute("aria-disabled", idle);
      this.drawCurves();
      this.drawLegend();
      this.drawMap();
    }

    drawCurves() {
      const { at, chart, pinned, settings } = this;
      const shapes = [];
      const letters = [];
      const add = (setting, name, n) => {
        const [median, least, most] = setting.lines;
        shapes.push(shape("path", { class: `band ${name}`, d: chart.band(least, most) }),
          shape("path", { class: `curve ${name}`, d: chart.line(median) }));
        const there = median.filter(([, y]) => y !== null);
        if (n === undefined || !there.length) return;
        const [x, y] = chart.at(...there[Math.min(Math.floor(median.length * (n + 1) / 4),
          there.length - 1)]);
        letters.push(node("span", { class: `letter ${name}`,
          style: `left: ${x / 10}%; top: ${y / 10}%` }, LETTERS[n]));
      };
      pinned.forEach((one, n) => add(settings.get(one.join()), `pin-${n}`, n));
      const now = settings.get(at.join());
      if (now) add(now, "now");
      const said = [`now: ${this.words.textContent}`, ...pinned.map((one, n) =>
        `${LETTERS[n]}: ${this.named(one)}: ${this.ended(one)}.`)];
      chart.draw(`${this.data.curve} over ${this.data.xName}. ${said.join(" ")}`, ...shapes);
      this.letters.replaceChildren(...letters);
    }

    drawLegend() {
      const items = this.pinned.map((at, n) => {
        const off = node("button", { type: "button", class: "small",
          "aria-label": `Take ${LETTERS[n]} off`, onclick: () => {
            this.unpin(n);
            this.pin.focus();
          } }, "\u00d7");
        return node("li", {}, node("span", { class: `key pin-${n}` },
          `${LETTERS[n]}: ${this.named(at)}: ${this.ended(at)}`), off);
      });
      const now = node("li", {}, node("span", { class: "key now" }, "now; its band goes from the " +
        "least to the most of the seeds"));
      this.legend.replaceChildren(now, ...items);
    }

    /** Lay out the table of how the settings ended, over two axes; drawMap fills it in. */
    layMap() {
      const { data: { axes }, map: [r, c] } = this;
      this.caption = node("caption");
      this.cells = axes[r].values.map((_, i) => axes[c].values.map((__, j) =>
        node("td", { onclick: () => this.chooseCell([i, j]), onfocus: () => this.rove([i, j]) })));
      const heads = axes[c].values.map((word) => node("th", { scope: "col" }, word));
      const rows = axes[r].values.map((word, i) =>
        node("tr", {}, node("th", { scope: "row" }, word), ...this.cells[i]));
      this.table.replaceChildren(node("table", { role: "grid", "aria-readonly": "true",
        onkeydown: (event) => this.key(event) }, this.caption,
      node("tr", {}, node("td", { class: "corner" }), ...heads), ...rows));
    }

    drawMap() {
      const { at, data: { axes, finals, finalUnit }, final, map: [r, c], settings } = this;
      const ends = [...settings.values()].map(({ finals: all }) => all[final][0])
        .filter((value) => value !== null);
      const [low, high] = [Math.min(...ends), Math.max(...ends)];
      this.cells.forEach((row, i) => row.forEach((cell, j) => {
        const here = at.with(r, i).with(c, j);
        const setting = settings.get(here.join());
        const end = setting ? setting.finals[final][0] : null;
        cell.textContent = !setting ? "\u2013" : end === null ? "div." : scientific(end);
        const share = end === null ? 1 : Math.sqrt((end - low) / (high - low || 1));
        cell.style.setProperty("--share", `${setting ? (STRONGEST * share).toFixed(0) : 0}%`);
        const current = same(here, at);
        cell.classList.toggle("current", current);
        if (current) cell.setAttribute("aria-current", "true");
        else cell.removeAttribute("aria-current");
      }));
      const unit = finalUnit ? ` in ${finalUnit}` : "";
      this.caption.textContent =
        `${finals[final]}${unit}; rows: ${axes[r].name}, columns: ${axes[c].name}`;
      this.rove([at[r], at[c]]);
    }

    chooseCell([i, j]) {
      const [r, c] = this.map;
      this.choose(this.at.with(r, i).with(c, j));
    }

    key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const move = MOVES[event.key];
      if (!move && event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      if (move) this.rove(move(this.cursor, this.cells[0].length)).focus();
      else this.chooseCell(this.cursor);
    }

    /** Make the cell at (or, beyond the edge, next to) a place the one that Tab reaches. */
    rove([i, j]) {
      this.cursor = [clamp(i, this.cells.length), clamp(j, this.cells[0].length)];
      const chosen = this.cells[this.cursor[0]][this.cursor[1]];
      for (const cell of this.cells.flat()) cell.tabIndex = cell === chosen ? 0 : -1;
      return chosen;
    }
  };
});
