/* A box over a scene that one moves and sizes: with the mouse, a finger, or the keyboard.
 *
 * Drag the box, or one of its corners; the arrow keys move it, and with Shift its lower right
 * corner; its four coordinates can be typed. It moves in whole steps, between limits.
 */
"use strict";

courseFigures.Handles = courseFigures.Handles || (() => {
  const { node, overlap } = courseFigures;

  const QUIET = 600;  // milliseconds without a change, until the box has come to rest
  const REACH = 15;  // pixels of the screen around a corner that take hold of it
  const NAMES = ["x1", "y1", "x2", "y2"];
  const CORNERS = [[0, 1], [2, 1], [0, 3], [2, 3]];  // the two coordinates that a corner has
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  return class Handles {
    /**
     * Over `board`, a Scene of which a unit is `unit` of the box; between `limits`, from and to
     * along each axis. `onmove(box)` hears of moves, `onrest()` when they are over, and
     * `onmiss(place)` of presses beside the box.
     */
    constructor({ board, limits, step, unit = 1, onmove, onrest = () => {},
      onmiss = () => {} }) {
      Object.assign(this, { board, limits, step, unit, onmove, onrest, onmiss });
      this.body = node("span", { class: "body" });
      this.knobs = CORNERS.map((_, n) =>
        node("span", { class: `knob ${n === 0 || n === 3 ? "falling" : "rising"}` }));
      board.element.append(this.body, ...this.knobs);
      const heard = { keydown: this.#key, pointerdown: this.#grasp, pointermove: this.#drag,
        pointerup: this.#release, pointercancel: this.#release };
      for (const [name, hear] of Object.entries(heard)) {
        board.element.addEventListener(name, (event) => hear.call(this, event));
      }
      this.inputs = NAMES.map((name, n) => node("input", { type: "number", id: name, step,
        min: limits[n % 2][0], max: limits[n % 2][1],
        oninput: () => this.#type(n), onchange: () => this.show(this.box) }));
    }

    /** Four fields for the coordinates; `what` names the box. */
    coordinates(what) {
      return node("div", { class: "coordinates", role: "group",
        "aria-label": `Coordinates of ${what} in pixels` }, ...this.inputs.map(
        (input, n) => node("label", { for: NAMES[n] }, NAMES[n], input)));
    }

    /** Stand at a box. */
    show(box) {
      const { board, inputs, unit } = this;
      this.box = box;
      const place = box.map((at) => at / unit);
      this.body.style.cssText = board.percent(place);
      CORNERS.forEach(([x, y], n) => {
        const style = board.percent([place[x], place[y], place[x], place[y]]);
        this.knobs[n].style.cssText = style.replace(/width.*/, "");
      });
      const active = inputs[0].getRootNode().activeElement;
      inputs.forEach((input, n) => {
        if (input !== active || input.valueAsNumber !== box[n]) input.value = box[n];
      });
    }

    #key(event) {
      const way = KEYS[event.key];
      if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const by = way.map((d) => d * this.step);
      if (event.shiftKey) this.#stretch([2, 3], by.map((d, axis) => this.box[2 + axis] + d));
      else this.#move(this.box, by);
      this.#restSoon();
    }

    /** Move a box by so much, until its side meets the end. */
    #move(from, by) {
      const free = by.map((d, axis) => clamp(d, this.limits[axis][0] - from[axis],
        this.limits[axis][1] - from[2 + axis]));
      this.onmove(overlap.moved(from, free));
    }

    /** Put a corner, by its two coordinates, to a place, short of the opposite corner. */
    #stretch(corner, to) {
      const box = [...this.box];
      corner.forEach((n, axis) => {
        const [low, high] = this.limits[axis];
        box[n] = n < 2 ? clamp(to[axis], low, box[n + 2] - this.step)
          : clamp(to[axis], box[n - 2] + this.step, high);
      });
      this.onmove(box);
    }

    /** A coordinate as it is typed, once it is one that a box can have. */
    #type(n) {
      const { box, inputs, limits, step } = this;
      const value = inputs[n].valueAsNumber;
      const [low, high] = limits[n % 2];
      if (!(value >= (n < 2 ? low : box[n - 2] + step))) return;
      if (!(value <= (n < 2 ? box[n + 2] - step : high))) return;
      this.onmove(box.with(n, value));
      this.#restSoon();
    }

    #at(event) {
      return this.board.at(event).map((at) => at * this.unit);
    }

    /** Take hold of the nearest corner, or else of the box that the pointer is in. */
    #grasp(event) {
      const { board, unit } = this;
      const at = this.#at(event);
      const scale = board.drawing.getBoundingClientRect().width / board.view[2] / unit;
      const inside = (box) => at.every((value, axis) =>
        box[axis] <= value && value <= box[2 + axis]);
      const corner = this.#corner(at, scale);
      if (!corner && !inside(this.box)) this.onmiss(at);  // which may show another box
      const { box } = this;
      if (!corner && !inside(box)) return;
      event.preventDefault();
      board.element.setPointerCapture(event.pointerId);
      board.element.focus({ focusVisible: false, preventScroll: true });
      this.held = { at, box: [...box], corner };
    }

    #corner(at, scale) {
      const { box } = this;
      const far = CORNERS.map(([x, y]) => scale * Math.hypot(box[x] - at[0], box[y] - at[1]));
      const nearest = far.indexOf(Math.min(...far));
      return far[nearest] <= REACH ? CORNERS[nearest] : null;
    }

    #drag(event) {
      if (!this.held) return;
      const { at, box, corner } = this.held;
      const by = this.#at(event).map((value, axis) =>
        this.step * Math.round((value - at[axis]) / this.step));
      if (corner) this.#stretch(corner, corner.map((n, axis) => box[n] + by[axis]));
      else this.#move(box, by);
    }

    #release() {
      if (!this.held) return;
      this.held = null;
      this.rest();
    }

    #restSoon() {
      clearTimeout(this.resting);
      this.resting = setTimeout(() => this.rest(), QUIET);
    }

    /** The box came to rest. */
    rest() {
      clearTimeout(this.resting);
      this.onrest();
    }
  };
})();
