/* The base of every interactive figure of the course.
 *
 * A figure is a custom element. It reads its data from the attribute `data-figure`, draws itself
 * in a shadow root, out of reach of the page's own styles, and says in words what it shows in a
 * live region. What stands inside the element is its static form: a page without scripts shows
 * that, and so does paper.
 */
"use strict";

globalThis.courseFigures = globalThis.courseFigures || (() => {
  /** Make an element: node("p", { class: "text", onclick: listen }, "words", otherNode). */
  const node = maker((tag) => document.createElement(tag));

  /** The same for a part of a drawing: shape("circle", { r: 3 }). */
  const shape = maker((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));

  function maker(create) {
    return (tag, attributes = {}, ...children) => {
      const made = create(tag);
      for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
        else if (value === true) made.setAttribute(name, "");
        else if (value !== false) made.setAttribute(name, value);
      }
      made.append(...children);
      return made;
    };
  }

  /** Write a number as people do: 7, −4, 0.333. */
  function number(value, digits = 3) {
    const whole = Number.isInteger(value);
    const text = String(whole ? value : Number(value.toPrecision(digits)));
    return text.replace("-", "\u2212");
  }

  /** The same inside a product: 7, but (−4). */
  function factor(value, digits = 3) {
    return value < 0 ? `(${number(value, digits)})` : number(value, digits);
  }

  /** "1 output", "3 outputs". */
  function count(n, word) {
    return `${n} ${word}${n === 1 ? "" : "s"}`;
  }

  /** A slider over whole numbers; `show(value)` sets it, `onmove(value)` hears of moves. */
  function slider({ label, min, max, value, onmove, words = String }) {
    const output = node("output", { for: label });
    const input = node("input", { id: label, type: "range", min, max, value,
      oninput: () => onmove(Number(input.value)) });
    const show = (now) => {
      input.value = now;
      input.setAttribute("aria-valuetext", words(now));
      output.textContent = words(now);
    };
    show(value);
    const name = node("label", { for: label }, label);
    return { element: node("div", { class: "slider" }, name, input, output), input, show };
  }

  class Figure extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return;  // moved within the page
      const root = this.attachShadow({ mode: "open" });
      const css = ["figure", ...this.sheets].map((part) => globalThis.courseStyles[part]);
      this.stage = node("div", { class: "stage", role: "group", "aria-label": this.label });
      this.status = node("p", { class: "unseen", role: "status" });
      const onPaper = node("div", { class: "on-paper" }, node("slot"));
      root.append(node("style", {}, css.join("\n")), this.stage, this.status, onPaper);
      this.build(JSON.parse(this.dataset.figure));
    }

    /** Say the state of the figure in words. */
    say(text) {
      this.status.textContent = text;
    }
  }

  /** Define an element, unless the page has it; `make(courseFigures)` returns its class. */
  function define(tag, make) {
    if (!customElements.get(tag)) customElements.define(tag, make(globalThis.courseFigures));
  }

  return { Figure, count, define, factor, node, number, shape, slider };
})();
