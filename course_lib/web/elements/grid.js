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

  const MOVES = {  // ([row, column], [rows, columns], with Control?) -> [row, column]
    ArrowUp: ([r, c]) => [r - 1, c],
    ArrowDown: ([r, c]) => [r + 1, c],
    ArrowLeft: ([r, c]) => [r, c - 1],
    ArrowRight: ([r, c]) => [r, c + 1],
    Home: ([r], _, whole) => [whole ? 0 : r, 0],
    End: ([r], [H, W], whole) => [whole ? H - 1 : r, W - 1],
  };
  const clamp = (n, size) => Math.min(Math.max(n, 0), size - 1);

  return class Grid {
    /** Whether two positions [row, column] are one. */
    static same(p, q) {
      return p[0] === q[0] && p[1] === q[1];
    }

    /** A cell as the formulas call it: dx[1, 2]. */
    static at(name, [r, c]) {
      return `${name}[${r}, ${c}]`;
    }

    /** Tell the style sheet how many columns the grids have that may stand beside one another. */
    static fit(stage, columns) {
      const widest = Math.max(...columns);
      const all = columns.reduce((sum, n) => sum + n);
      stage.style.setProperty("--widest", widest);
      stage.style.setProperty("--columns", all);
      stage.classList.toggle("wide-grids", widest > 6);
      stage.classList.toggle("many-columns", all > 14);
    }

    /**
     * `name` as in the formulas ("dx"), `what` in words ("its gradient"), `role` a colour. A
     * `bare` grid has no indices around it.
     */
    constructor({ name, what, role, onpick, focusable = false, bare = false }) {
      Object.assign(this, { onpick, focusable, bare, current: [0, 0] });
      this.table = node("table", {
        role: focusable && "grid",
        "aria-readonly": focusable && "true",
        "aria-label": `${name}, ${what}`,
        class: onpick ? "pickable" : "",
        onclick: (event) => this.#point(event),
        onfocusin: (event) => this.#point(event),
        // Not pointerover: that also comes when the grid moves under a mouse at rest.
        onpointermove: (event) => event.pointerType === "mouse" && this.#point(event),
        onpointerleave: () => { this.under = null; },
        onkeydown: (event) => this.#move(event),
      });
      this.what = node("span", { class: "what" }, what);
      this.board = node("div", { class: "board" }, this.table);
      this.element = node("div", { class: "grid", style: `--role: var(--course-${role})` },
        node("div", { class: "title" }, node("b", {}, name), " ", this.what), this.board);
    }

    /** Lay out H x W cells, and around them a ring of `padding` cells. */
    resize([H, W], padding = 0) {
      Object.assign(this, { size: [H, W], padding, cells: new Map() });
      const range = (n) => Array.from({ length: n + 2 * padding }, (_, k) => k - padding);
      const head = node("tr", {}, node("td", { class: "index" }),
        ...range(W).flatMap((c) => this.#index("col", c, W)));
      const rows = range(H).map((r) => node("tr", {},
        ...this.#index("row", r, H), ...range(W).map((c) => this.#cell(r, c))));
      const heads = this.bare ? [] : [node("thead", {}, head)];
      this.table.replaceChildren(...heads, node("tbody", {}, ...rows));
      this.#rove(this.current);
    }

    /**
     * Draw every cell: look([r, c], inside) returns { value, states, tag, note }: a number (or
     * nothing), class names, a letter in the corner, and a small remark under the number.
     */
    paint(look) {
      for (const { td, parts, inside, at } of this.cells.values()) {
        const { value, states = [], tag = "", note = "" } = look(at, inside);
        const shown = value === undefined ? "" : number(value);
        parts.value.textContent = shown;
        parts.tag.textContent = tag;
        parts.note.textContent = note;
        td.className = ["cell", inside ? "inside" : "outside", ...states].join(" ");
        td.style.setProperty("--length", shown.length);
        if (states.includes("picked")) td.setAttribute("aria-current", "true");
        else td.removeAttribute("aria-current");
      }
    }

    /** The header cell of row or column n; an empty one on the padding, none in a bare grid. */
    #index(scope, n, size) {
      if (this.bare) return [];
      const attributes = { class: "index" };
      if (n < 0 || n >= size) return [node("td", attributes)];
      return [node("th", { ...attributes, scope }, String(n))];
    }

    #cell(r, c) {
      const [H, W] = this.size;
      const inside = r >= 0 && r < H && c >= 0 && c < W;
      const part = (name) => node("span", { class: name });
      const parts = { tag: part("tag"), value: part("value"), note: part("note") };
      const face = node("div", { class: "face" }, ...Object.values(parts));
      const td = node("td", { "data-at": `${r},${c}` }, face);
      this.cells.set(td.dataset.at, { td, parts, inside, at: [r, c] });
      return td;
    }

    #point(event) {
      const td = event.target.closest("td.inside");
      if (!td || !this.onpick) return;
      const { at } = this.cells.get(td.dataset.at);
      if (event.type === "pointermove") {
        if (this.under === td) return;
        this.under = td;
      } else {
        this.#rove(at);
      }
      this.onpick(at);
    }

    #move(event) {
      const move = MOVES[event.key];
      if (!move || !this.focusable || event.altKey || event.metaKey) return;
      event.preventDefault();
      this.#rove(move(this.current, this.size, event.ctrlKey)).focus();
    }

    /** Make the cell at (or, beyond the edge, next to) `position` the one that Tab reaches. */
    #rove([r, c]) {
      this.current = [clamp(r, this.size[0]), clamp(c, this.size[1])];
      const chosen = this.cells.get(String(this.current)).td;
      for (const { td, inside } of this.cells.values()) {
        if (this.focusable && inside) td.tabIndex = td === chosen ? 0 : -1;
      }
      return chosen;
    }
  };
})();
