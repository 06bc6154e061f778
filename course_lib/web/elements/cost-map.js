/* <course-cost-map>: which mode gives the whole Jacobian in fewer operations.
 *
 * Two sliders choose the numbers of inputs and outputs, or a click on a cell of the map does. Bars
 * show what was counted for both modes; the map says F, R or = for every pair.
 */
"use strict";

courseFigures.define("course-cost-map", ({ count, Figure, node, slider }) => {
  const MODES = ["forward", "reverse"];
  const grouped = (n) => n.toLocaleString("en-GB");

  return class extends Figure {
    label = "Cost of the whole Jacobian";
    sheets = ["cost-map"];

    build(data) {
      Object.assign(this, { data, i: 0, j: 0 });
      const control = (label, values, axis) => slider({
        label, min: 0, max: values.length - 1, value: 0, words: (at) => String(values[at]),
        onmove: (at) => this.choose({ [axis]: at }),
      });
      this.sliders = {
        i: control("inputs n", data.inputs, "i"),
        j: control("outputs m", data.outputs, "j"),
      };
      this.bars = Object.fromEntries(MODES.map((mode) => [mode, this.bar(mode)]));
      this.verdict = node("p", { class: "verdict" });
      this.stage.append(
        node("div", { class: "controls" },
          ...Object.values(this.sliders).map(({ element }) => element)),
        ...Object.values(this.bars).map(({ element }) => element),
        this.verdict, this.map());
      this.draw();
    }

    bar(mode) {
      const fill = node("div", { class: `fill ${mode}` });
      const words = node("span");
      const element = node("div", { class: "bar" }, words, fill);
      return { element, fill, words };
    }

    /** The table of all pairs: rows are outputs, columns inputs. */
    map() {
      const { inputs, outputs } = this.data;
      this.cells = outputs.map((m, j) => inputs.map((n, i) => {
        const mode = this.cheaper(i, j);
        const letter = { forward: "F", reverse: "R", equal: "=" }[mode];
        return node("td", { class: mode, onclick: () => this.choose({ i, j }) }, letter);
      }));
      const heads = inputs.map((n) => node("th", { scope: "col" }, String(n)));
      const rows = outputs.map((m, j) =>
        node("tr", {}, node("th", { scope: "row" }, String(m)), ...this.cells[j]));
      const caption = "Cheaper mode: F forward, R reverse; columns are n, rows are m";
      return node("table", {}, node("caption", {}, caption),
        node("tr", {}, node("td", { class: "corner" }, "m \\ n"), ...heads), ...rows);
    }

    cheaper(i, j) {
      const [forward, reverse] = MODES.map((mode) => this.data[mode][i][j]);
      if (forward === reverse) return "equal";
      return forward < reverse ? "forward" : "reverse";
    }

    choose(change) {
      Object.assign(this, change);
      this.draw();
      this.say(this.words());
    }

    words() {
      const { i, j, data } = this;
      const [forward, reverse] = MODES.map((mode) => data[mode][i][j]);
      const mode = this.cheaper(i, j);
      const times = Math.max(forward, reverse) / Math.min(forward, reverse);
      const verdict = mode === "equal" ? "Both cost the same."
        : `${mode === "forward" ? "Forward" : "Reverse"} is cheaper, ` +
          `${Number(times.toPrecision(3))} times.`;
      return `${count(data.inputs[i], "input")}, ${count(data.outputs[j], "output")}: ` +
        `forward ${grouped(forward)}, reverse ${grouped(reverse)} operations. ${verdict}`;
    }

    draw() {
      const { i, j, data } = this;
      this.sliders.i.show(i);
      this.sliders.j.show(j);
      const most = Math.max(...MODES.map((mode) => data[mode][i][j]), 1);
      for (const mode of MODES) {
        const operations = data[mode][i][j];
        this.bars[mode].words.textContent = `${mode}: ${grouped(operations)} operations`;
        this.bars[mode].fill.style.width = `${(100 * operations) / most}%`;
      }
      this.verdict.textContent = this.words();
      this.cells.flat().forEach((cell) => {
        cell.classList.remove("current");
        cell.removeAttribute("aria-current");
      });
      this.cells[j][i].classList.add("current");
      this.cells[j][i].setAttribute("aria-current", "true");
    }
  };
});
