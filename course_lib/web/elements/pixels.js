/* Pictures made of pixels, in the colours of the theme.
 *
 * A picture is a canvas with one pixel for each number; the style sheet enlarges it. Its colours
 * are the theme's, and it is drawn anew when the page changes from light to dark.
 */
"use strict";

courseFigures.pixels = courseFigures.pixels || (() => {
  const { node } = courseFigures;

  /** The colours of some roles as [red, green, blue], as they are at `element` now. */
  function colours(element, roles) {
    const style = getComputedStyle(element);
    return Object.fromEntries(roles.map((role) => {
      const hex = style.getPropertyValue(`--course-${role}`).trim().slice(1);
      return [role, [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16))];
    }));
  }

  /** Call paint(colours) now, and when the page changes its theme while `element` is on it. */
  function followTheme(element, roles, paint) {
    let painted;
    const look = () => {
      if (!element.isConnected) return;
      const now = colours(element, roles);
      if (JSON.stringify(now) === painted) return;  // the page changed something else
      painted = JSON.stringify(now);
      paint(now);
    };
    look();
    const observer = new MutationObserver(look);
    for (const root of [document.documentElement, document.body]) {
      observer.observe(root, { attributes: true });
    }
  }

  class Picture {
    constructor(width, height, attributes = {}) {
      this.element = node("canvas", { width, height, class: "picture", ...attributes });
      this.context = this.element.getContext("2d");
      this.image = this.context.createImageData(width, height);
    }

    /** Colour pixel i by set(i) = [[red, green, blue], opacity in 0..1]. */
    paint(set) {
      const { data } = this.image;
      for (let i = 0; i < data.length / 4; i++) {
        const [[red, green, blue], opacity] = set(i);
        data[4 * i] = red;
        data[4 * i + 1] = green;
        data[4 * i + 2] = blue;
        data[4 * i + 3] = 255 * opacity;
      }
      this.context.putImageData(this.image, 0, 0);
    }
  }

  return Object.freeze({ Picture, followTheme });
})();
