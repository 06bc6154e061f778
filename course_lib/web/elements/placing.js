/* A picture drawn into a square: scaled, turned and shifted, as course_lib.data.place_digits does.
 *
 * A pixel of the square is read where its centre falls in the original, between the four pixels
 * around it. Beyond the edge lies paper; a pixel that the edge cuts through gets its share.
 */
"use strict";

courseFigures.placed = courseFigures.placed || (() => {
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  /** How much of a pixel, read at `at`, lies in a picture `length` pixels long. */
  function share(at, length, zoom) {
    return clamp(Math.min(at + 0.5, length - 0.5 - at) * zoom / length + 0.5, 0, 1);
  }

  /**
   * { data, shape: [H, W] } placed into size x size pixels: `dx` and `dy` in pixels to the right
   * and down, `angle` in degrees, counter-clockwise, `scale` as a share of the square.
   */
  return ({ data, shape: [H, W] }, size, { dx = 0, dy = 0, angle = 0, scale = 1 }) => {
    const [cos, sin] = [Math.cos, Math.sin].map((f) => f(angle * Math.PI / 180));
    const zoom = scale * size;
    const square = new Float32Array(size * size);
    for (let i = 0; i < size * size; i++) {
      const right = i % size + 0.5 - size / 2 - dx;
      const down = Math.floor(i / size) + 0.5 - size / 2 - dy;
      let x = (cos * right - sin * down) / zoom * W + W / 2 - 0.5;
      let y = (sin * right + cos * down) / zoom * H + H / 2 - 0.5;
      const inside = share(x, W, zoom) * share(y, H, zoom);
      if (!inside) continue;
      [x, y] = [clamp(x, 0, W - 1), clamp(y, 0, H - 1)];
      const [c, r] = [Math.floor(x), Math.floor(y)];
      const [a, b] = [x - c, y - r];
      const [beside, below] = [Math.min(c + 1, W - 1), Math.min(r + 1, H - 1)];
      const row = (at) => (1 - a) * data[at * W + c] + a * data[at * W + beside];
      square[i] = inside * ((1 - b) * row(r) + b * row(below));
    }
    return square;
  };
})();
