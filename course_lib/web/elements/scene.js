/* A picture with boxes over it, in pixels of the picture.
 *
 * A box is [x1, y1, x2, y2]. Ink on paper has the colour of the theme; a photograph keeps its own.
 * Lines and words keep their size, however large the picture is on the page.
 */
"use strict";

courseFigures.scene = courseFigures.scene || (() => {
  const { labels, node, pixels, shape } = courseFigures;

  class Scene {
    /** `data` as course_lib.web.scene writes it, with `margin` pixels of paper around it. */
    constructor(figure, data, { margin = 0, ...attributes } = {}) {
      const [H, W] = data.size;
      this.view = [-margin, -margin, W + 2 * margin, H + 2 * margin];
      this.drawing = shape("svg", { viewBox: this.view.join(" "), "aria-hidden": "true",
        preserveAspectRatio: "none" });
      this.flags = node("div", { class: "flags", style: "inset: 0; pointer-events: none",
        "aria-hidden": "true" });
      this.element = node("div", { class: "scene",
        style: `aspect-ratio: ${this.view[2]} / ${this.view[3]}`, ...attributes },
      this.picture(figure, data), this.drawing, this.flags);
    }

    picture(figure, { size: [H, W], ink, shape: sizes, photograph, covers = [1, 1] }) {
      const style = this.percent([0, 0, covers[1] * W, covers[0] * H]);
      if (photograph) return node("img", { class: "picture", style, src: photograph, alt: "" });
      if (!ink) return node("div", { class: "picture", style });
      const picture = new pixels.Picture(sizes[1], sizes[0], { style, "aria-hidden": "true" });
      const found = labels.levels(ink);
      pixels.followTheme(figure, ["ink"], (colours) =>
        picture.paint((i) => [colours.ink, found[i]]));
      return picture.element;
    }

    /** A box as a style of an element over the picture. */
    percent([x1, y1, x2, y2]) {
      const [left, top, width, height] = this.view;
      const share = (value) => `${Number((100 * value).toFixed(3))}%`;
      return `left: ${share((x1 - left) / width)}; top: ${share((y1 - top) / height)}; ` +
        `width: ${share((x2 - x1) / width)}; height: ${share((y2 - y1) / height)};`;
    }

    /** Where a pointer is, in pixels of the picture. */
    at({ clientX, clientY }) {
      const { left, top, width, height } = this.drawing.getBoundingClientRect();
      return [this.view[0] + (clientX - left) * this.view[2] / width,
        this.view[1] + (clientY - top) * this.view[3] / height];
    }

    /** A box with an outline that stands out from any picture, and its name at one corner. */
    box(role, name = "", corner = {}) {
      const parts = ["halo", "edge"].map((part) => shape("rect", { class: part }));
      const element = shape("g", { class: `box ${role}` }, ...parts);
      const flag = node("span", { class: `flag ${role}` }, name);
      this.drawing.append(element);
      if (name) this.flags.append(flag);
      const place = (box) => {
        for (const part of parts) placeRect(part, box);
        this.hang(flag, box, corner);
      };
      const hide = (hidden) => {
        element.style.display = hidden ? "none" : "";
        flag.hidden = hidden;
      };
      return { element, flag, place, hide };
    }

    /** A flag over a box or `under` it, at its left or `right` end, and inside the view. */
    hang(flag, [x1, y1, x2, y2], { under = false, right = false }) {
      const [left, top, width, height] = this.view;
      const across = Math.min(Math.max(((right ? x2 : x1) - left) / width, 0), 1);
      const down = Math.min(Math.max(((under ? y2 : y1) - top) / height, 0), 1);
      const before = right ? across > 0.25 : across > 0.75;
      const above = under ? down > 0.92 : down > 0.08;
      flag.style.left = `${100 * across}%`;
      flag.style.top = `${100 * down}%`;
      flag.style.translate = `${before ? "-100%" : "0"} ${above ? "-100%" : "0"}`;
    }
  }

  /** Give a rectangle of a drawing a place. */
  function placeRect(rect, [x1, y1, x2, y2]) {
    const place = { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) };
    for (const [name, value] of Object.entries(place)) rect.setAttribute(name, value);
  }

  return Object.freeze({ Scene, placeRect });
})();
