/* Maps of labels, one for each pixel: read from text, compared, and cut into regions.
 *
 * A map is a flat array, row by row, of an image of [H, W] pixels. Texts have the letters of base64
 * for the numbers 0 to 63: levels of grey, one letter each; or runs, a label and two letters of
 * its length.
 */
"use strict";

courseFigures.labels = courseFigures.labels || (() => {
  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const read = (text) => Array.from(text, (letter) => ALPHABET.indexOf(letter));

  /** Numbers in 0..1 from a text with a letter for each. */
  function levels(text) {
    return read(text).map((level) => level / 63);
  }

  /** Labels from a text of runs. */
  function runs(text) {
    const numbers = read(text);
    const labels = [];
    for (let i = 0; i < numbers.length; i += 3) {
      const length = 64 * numbers[i + 1] + numbers[i + 2];
      for (let n = 0; n < length; n++) labels.push(numbers[i]);
    }
    return labels;
  }

  /** How often each of K true classes (rows) was taken for each class (columns). */
  function confusion(truth, predicted, K) {
    const counts = Array.from({ length: K }, () => new Array(K).fill(0));
    truth.forEach((label, i) => { counts[label][predicted[i]] += 1; });
    return counts;
  }

  /** Several confusions as one. */
  function total(all) {
    return all.reduce((a, b) => a.map((row, t) => row.map((n, p) => n + b[t][p])));
  }

  /** Of each class { hits, union, iou }; without pixels there is no IoU: null. */
  function perClass(counts) {
    return counts.map((row, k) => {
      const hits = row[k];
      const columns = counts.reduce((sum, other) => sum + other[k], 0);
      const union = row.reduce((a, b) => a + b) + columns - hits;
      return { hits, union, iou: union ? hits / union : null };
    });
  }

  /** { meanIou, accuracy }, the mean over the classes that occur. */
  function scores(counts) {
    const found = perClass(counts).filter(({ union }) => union);
    const pixels = counts.flat().reduce((a, b) => a + b);
    const right = counts.reduce((sum, row, k) => sum + row[k], 0);
    return { meanIou: found.reduce((sum, { iou }) => sum + iou, 0) / found.length,
      accuracy: right / pixels };
  }

  /**
   * The regions of equal labels whose pixels meet at edges or corners, the background left out:
   * { label, area, top, left, bottom, right, row, column }, the last two the mean of its pixels.
   */
  function regions(labels, [H, W]) {
    const seen = new Uint8Array(labels.length);
    const found = [];
    for (let start = 0; start < labels.length; start++) {
      if (seen[start] || !labels[start]) continue;
      const region = { label: labels[start], area: 0, top: H, left: W, bottom: 0, right: 0,
        row: 0, column: 0 };
      const waiting = [start];
      seen[start] = 1;
      while (waiting.length) {
        const at = waiting.pop();
        const [r, c] = [Math.floor(at / W), at % W];
        region.area += 1;
        region.row += r;
        region.column += c;
        region.top = Math.min(region.top, r);
        region.left = Math.min(region.left, c);
        region.bottom = Math.max(region.bottom, r + 1);
        region.right = Math.max(region.right, c + 1);
        for (let p = Math.max(r - 1, 0); p <= Math.min(r + 1, H - 1); p++) {
          for (let q = Math.max(c - 1, 0); q <= Math.min(c + 1, W - 1); q++) {
            const next = p * W + q;
            if (seen[next] || labels[next] !== region.label) continue;
            seen[next] = 1;
            waiting.push(next);
          }
        }
      }
      region.row /= region.area;
      region.column /= region.area;
      found.push(region);
    }
    return found;
  }

  /** The edges between pixels of different labels, as the path of a drawing. */
  function outline(labels, [H, W]) {
    const pieces = [];
    for (let r = 0; r < H; r++) {
      for (let c = 0; c < W; c++) {
        const here = labels[r * W + c];
        if (c + 1 < W && labels[r * W + c + 1] !== here) pieces.push(`M${c + 1} ${r}v1`);
        if (r + 1 < H && labels[(r + 1) * W + c] !== here) pieces.push(`M${c} ${r + 1}h1`);
      }
    }
    return pieces.join("");
  }

  return Object.freeze({ confusion, levels, outline, perClass, regions, runs, scores, total });
})();
