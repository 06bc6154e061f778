/* How well a box fits another: their overlap, and the distances of their coordinates.
 *
 * A box is [x1, y1, x2, y2] in pixels.
 */
"use strict";

courseFigures.overlap = courseFigures.overlap || (() => {
  const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
  const centre = ([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2];
  const moved = (box, [dx, dy]) => box.map((at, n) => at + (n % 2 ? dy : dx));

  /** What two boxes have in common, as a box; without area where they do not meet. */
  function common(a, b) {
    const [x1, y1, x2, y2] = a.map((at, n) => Math[n < 2 ? "max" : "min"](at, b[n]));
    return [x1, y1, Math.max(x1, x2), Math.max(y1, y2)];
  }

  /** Intersection over union of two boxes; 0 where there is no union. */
  function iou(a, b) {
    const intersection = area(common(a, b));
    const union = area(a) + area(b) - intersection;
    return union ? intersection / union : 0;
  }

  /** Areas in square pixels, IoU, and distances in pixels; smooth L1 with the knee at `beta`. */
  function measures(truth, box, beta) {
    const intersection = area(common(truth, box));
    const union = area(truth) + area(box) - intersection;
    const apart = truth.map((at, n) => Math.abs(box[n] - at));
    const [a, b] = [centre(truth), centre(box)];
    const smooth = apart.map((d) => (d < beta ? d * d / (2 * beta) : d - beta / 2));
    return {
      intersection,
      union,
      iou: iou(truth, box),
      l2: Math.hypot(...apart),
      smooth: smooth.reduce((sum, d) => sum + d),
      centres: Math.hypot(b[0] - a[0], b[1] - a[1]),
    };
  }

  /** The box moved by a pixel towards the true one, or as far as it goes. */
  function nearer(truth, box) {
    const [a, b] = [centre(truth), centre(box)];
    const way = [a[0] - b[0], a[1] - b[1]];
    const length = Math.hypot(...way);
    const step = length && Math.min(1, length) / length;
    return moved(box, way.map((d) => step * d));
  }

  return Object.freeze({ centre, common, iou, measures, moved, nearer });
})();
