/* A grid of numbers to point at: with the mouse, a finger, or the keyboard.
 *
 * It is a table with row and column indices. One cell of a grid is in the tab order; the arrow
 * keys move from there, Home and End go to the ends of the row, with Control to the ends of the
 * grid. Pointing, tapping and focusing all say the same: `onpick([row, column])`. A grid that
 * repeats what another one offers is not `focusable`: pointer only, so that Tab stays short.
 */
"use strict";

courseFigures.Grid = courseFigures.Grid || (() => {
  const { node, number } = courseFigures;

  const MOVES = {
    ArrowUp: ([r, c]) => [r - 1, c],
    ArrowDown: ([r, c]) => [r + 1, c],
    ArrowLeft: ([r, c]) => [r, c - 1],
    ArrowRight: ([r, c]) => [r, c + 1],
    Home: ([r], _, whole) => [whole ? 0 : r, 0],
    End: ([r], [H, W], whole) => [whole ? H - 1 : r, W - 1],
  };
  const clamp = (n, size) => Math.min(Math.max(n, 0), size - 1);

  return class Grid {
    /**
     * `name` as in the formulas ("dx"), `what` in words ("its gradient"), `role` a colour. A `bare`
     * grid has no indices around it.
     */
    constructor({ name, what, role, onpick, focusable = false, bare = false }) {
      Object.assign(this, { onpick, focusable, bare });
      this.current = [0, 0];
      this.title = node("span", { class: "what" }, what);
      this.table = node("table", {
        role: focusable ? "grid" : false,
        "aria-label": `${name}, ${what}`,
        onclick: (event) => this.#point(event, "focus"),
        onpointerover: (event) => event.pointerType === "mouse" && this.#point(event),
        onfocusin: (event) => this.#point(event),
        onkeydown: (event) => this.#move(event),
      });
      this.board = node("div", { class: "board" }, this.table);
      this.element = node("div", { class: "grid", style: `--role: var(--course-${role})` },
        node("div", { class: "title" }, node("b", {}, name), " ", this.title), this.board);
    }

    /** Lay out H x W cells with a ring of `padding` cells around. */
    resize([H, W], padding = 0) {
      this.size = [H, W];
      this.padding = padding;
      this.current = [clamp(this.current[0], H), clamp(this.current[1], W)];
      this.cells = new Map();
      const range = (n) => Array.from({ length: n + 2 * padding }, (_, k) => k - padding);
      const rows = range(H).map((r) => node("tr", {},
        ...this.#index("row", r, H), ...range(W).map((c) => this.#cell(r, c))));
      const head = node("tr", {}, node("td", { class: "index" }),
        ...range(W).flatMap((c) => this.#index("col", c, W)));
      this.table.replaceChildren(...(this.bare ? [] : [node("thead", {}, head)]), node("tbody", {}, ...rows));
      this.#rove();
    }

    /**
     * Draw every cell: look([r, c], inside) returns { value, states, tag, note }: a number (or
     * text, or nothing), class names, a letter in the corner, and a small remark under the number.
     */
    paint(look) {
      for (const cell of this.cells.values()) {
        const { value, states = [], tag = "", note = "" } = look(cell.at, cell.inside);
        const shown = typeof value === "number" ? number(value) : value || "";
        cell.td.className = ["cell", cell.inside ? "inside" : "outside", ...states].join(" ");
        cell.value.textContent = shown;
        cell.tag.textContent = tag;
        cell.note.textContent = note;
        if (this.focusable && cell.inside) {
          cell.td.setAttribute("aria-selected", String(states.includes("picked")));
        }
      }
    }

    cell([r, c]) {
      return this.cells.get(`${r},${c}`);
    }

    /** The header cell of row or column n; an empty one on the padding, none in a bare grid. */
    #index(scope, n, size) {
      if (this.bare) return [];
      const inside = n >= 0 && n < size;
      return [inside ? node("th", { class: "index", scope }, String(n)) : node("td", { class: "index" })];
    }

    #cell(r, c) {
      const [H, W] = this.size;
      const inside = r >= 0 && r < H && c >= 0 && c < W;
      const [value, tag, note] = ["value", "tag", "note"].map((name) => node("span", { class: name }));
      const td = node("td", { "data-at": `${r},${c}` }, tag, value, note);
      this.cells.set(`${r},${c}`, { td, value, tag, note, inside, at: [r, c] });
      return td;
    }

    #point(event, focus) {
      const td = event.target.closest("td.inside");
      if (!td || !this.onpick) return;
      const at = td.dataset.at.split(",").map(Number);
      if (focus && this.focusable) td.focus();
      if (this.focusable && event.type !== "pointerover") {
        this.current = at;
        this.#rove();
      }
      this.onpick(at);
    }

    #move(event) {
      const move = MOVES[event.key];
      if (!move || !this.focusable || event.altKey || event.metaKey) return;
      event.preventDefault();
      const [r, c] = move(this.current, this.size, event.ctrlKey);
      this.current = [clamp(r, this.size[0]), clamp(c, this.size[1])];
      this.#rove();
      this.cell(this.current).td.focus();
    }

    #rove() {
      if (!this.focusable) return;
      for (const { td, at, inside } of this.cells.values()) {
        if (inside) td.tabIndex = String(at) === String(this.current) ? 0 : -1;
      }
    }
  };
})();
