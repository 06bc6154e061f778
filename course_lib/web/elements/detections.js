/* Detections: suppressed, matched with the objects, and judged by precision and recall.
 *
 * A detection is { image, label, box, score }, an object { image, label, box }. They come in
 * groups, of one image and one class each, in which the better detection comes first.
 */
"use strict";

courseFigures.detections = courseFigures.detections || (() => {
  const { overlap } = courseFigures;
  const KINDS = ["hit", "double", "alarm", "dropped"];  // what a detection can be
  const byScore = (a, b) => b.score - a.score;

  /** Groups { image, label, found, objects } of all images, in the order of image and class. */
  function grouped(found, objects) {
    const groups = new Map();
    const sorted = [...found, ...objects].sort((a, b) => a.image - b.image || a.label - b.label);
    for (const { image, label } of sorted) {
      groups.set(`${image},${label}`, { image, label, found: [], objects: [] });
    }
    const of = ({ image, label }) => groups.get(`${image},${label}`);
    for (const one of found) of(one).found.push(one);
    for (const one of objects) of(one).objects.push(one);
    for (const group of groups.values()) group.found.sort(byScore);
    return [...groups.values()];
  }

  /** Whether each of some detections stays, the better ones coming first. */
  function kept(found, threshold) {
    const winners = [];
    return found.map((one) => {
      const stays = winners.every(({ box }) => !(overlap.iou(box, one.box) > threshold));
      if (stays) winners.push(one);
      return stays;
    });
  }

  /**
   * The detections of a group, each with what it is, its `object` (the one that it overlaps most)
   * and its `iou` with that. Who overlaps an object enough that a better one has found is a double.
   */
  function judged({ found, objects }, nms, enough) {
    const taken = new Set();
    const stays = kept(found, nms);
    return found.map((one, n) => {
      if (!stays[n]) return { ...one, kind: "dropped" };
      const ious = objects.map(({ box }) => overlap.iou(one.box, box));
      const iou = Math.max(0, ...ious);
      const object = objects[ious.indexOf(iou)];
      if (!(iou >= enough)) return { ...one, kind: "alarm", iou };
      const kind = taken.has(object) ? "double" : "hit";
      taken.add(object);
      return { ...one, kind, iou, object };
    });
  }

  /** Precision and recall as the threshold falls: of what is judged and was not dropped. */
  function curve(judgements, objects) {
    const found = judgements.filter(({ kind }) => kind !== "dropped").sort(byScore);
    let hits = 0;
    return found.map(({ kind, score }, n) => {
      hits += kind === "hit";
      return { precision: hits / (n + 1), recall: hits / objects, score };
    });
  }

  /** Of each point of a curve the best precision from there on. */
  function envelope(points) {
    let best = 0;
    return points.map(({ precision }) => precision).reverse()
      .map((precision) => (best = Math.max(best, precision))).reverse();
  }

  /** The best precision at the recalls 0, 0.1 .. 1; 0 at one that is not reached. */
  function elevenPoints(points) {
    const best = envelope(points);
    return Array.from({ length: 11 }, (_, k) => {
      const at = points.findIndex(({ recall }) => recall >= k / 10);
      return [k / 10, at < 0 ? 0 : best[at]];
    });
  }

  /** Average precision: the area under the envelope, and the mean of the eleven points. */
  function averagePrecision(points) {
    const best = envelope(points);
    const widths = points.map(({ recall }, n) => recall - (n ? points[n - 1].recall : 0));
    return {
      area: widths.reduce((sum, width, n) => sum + width * best[n], 0),
      eleven: elevenPoints(points).reduce((sum, [, precision]) => sum + precision, 0) / 11,
    };
  }

  return Object.freeze({ KINDS, averagePrecision, curve, elevenPoints, envelope, grouped, judged,
    kept });
})();
