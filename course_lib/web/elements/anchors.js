/* Anchors at every cell of a map, and what each of them stands for.
 *
 * A box is [x1, y1, x2, y2] in pixels; a shape is an anchor about the origin. A label is 1 for an
 * object, 0 for background, -1 for neither.
 */
"use strict";

courseFigures.anchors = courseFigures.anchors || (() => {
  const { overlap } = courseFigures;

  /** The anchors of a map of [h, w] cells: row by row, cell by cell, shape by shape. */
  function grid([h, w], [down, right], shapes) {
    return Array.from({ length: h * w }, (_, n) => {
      const [x, y] = [(n % w + 0.5) * right, (Math.floor(n / w) + 0.5) * down];
      return shapes.map((shape) => shape.map((at, k) => (k % 2 ? y : x) + at));
    }).flat();
  }

  /** Whether each anchor lies within a picture of [H, W] pixels. */
  function inside(anchors, [H, W]) {
    return anchors.map(([x1, y1, x2, y2]) => x1 >= 0 && y1 >= 0 && x2 <= W && y2 <= H);
  }

  /** The overlap of every anchor with every object. */
  function overlaps(anchors, truth) {
    return anchors.map((anchor) => truth.map((box) => overlap.iou(anchor, box)));
  }

  /**
   * Of each anchor its label, the object that it overlaps most (-1 if none) and that overlap, and
   * whether only the rule of the best anchors makes it an object. `mine` says which ones count:
   * the others are called neither, and are nobody's best.
   */
  function matched(ious, { positive, negative, best, mine }) {
    const tops = ious.map((row) => Math.max(0, ...row));
    const most = (ious[0] || []).map((_, k) =>
      ious.reduce((top, row, n) => (mine[n] ? Math.max(top, row[k]) : top), 0));
    return ious.map((row, n) => {
      const iou = tops[n];
      const index = iou > 0 ? row.indexOf(iou) : -1;
      if (!mine[n]) return { label: -1, index, iou, out: true };
      const plain = iou < negative ? 0 : iou > positive ? 1 : -1;
      const raised = best && row.some((value, k) => value > 0 && value === most[k]);
      return { label: raised ? 1 : row.length ? plain : 0, index, iou,
        raised: raised && plain !== 1 };
    });
  }

  return Object.freeze({ grid, inside, matched, overlaps });
})();
