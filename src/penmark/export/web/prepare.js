/**
 * A digit's ink as MNIST would show it: the same 28×28 bytes as `prepare_digit` in penmark's
 * `data/preparation.py`, whose constants and rounding these are. That file says where they are from.
 */

export const SIDE = 28;
const BOX = 20;
const CENTER = 14;
const FAINTEST = 16 / 255;
const THIN = 159;
const FAINT = 187;
const TYPICAL = 217;
const HALF = 0.5 + 1e-6;

/**
 * A matrix in rows.
 * @typedef {{height: number, width: number, values: Float64Array}} Matrix
 */

/**
 * Bring one digit to MNIST's size, place and stroke.
 *
 * @param {Uint8Array | Uint8ClampedArray} ink row by row; 0 is paper, 255 is full ink
 * @param {number} height of the ink in pixels
 * @param {number} width of the ink in pixels
 * @returns {Uint8Array} 28×28 bytes, row by row; all 0 where there is no ink
 */
export function prepareDigit(ink, height, width) {
  const field = new Uint8Array(SIDE * SIDE);
  const digit = cropped(ink, height, width);
  if (digit === null) return field;
  let small = shrunk(digit, BOX);
  const strokes = saturation(small);
  if (strokes < THIN) {
    small = strengthened(widened(shrunk(digit, BOX - 2), strokes), TYPICAL);
  } else {
    small = withoutBorder(small);
    if (strokes < FAINT) small = strengthened(small, FAINT);
  }
  const pixels = small.values.map((value) => Math.floor(value + HALF));
  const rows = new Float64Array(small.height);
  const columns = new Float64Array(small.width);
  pixels.forEach((value, index) => {
    rows[Math.floor(index / small.width)] += value;
    columns[index % small.width] += value;
  });
  const top = start(rows);
  const left = start(columns);
  pixels.forEach((value, index) => {
    const row = top + Math.floor(index / small.width);
    field[row * SIDE + left + (index % small.width)] = value;
  });
  return field;
}

/**
 * The smallest rectangle with all but the faintest ink; null where there is none.
 * @param {Uint8Array | Uint8ClampedArray} ink
 * @param {number} height
 * @param {number} width
 * @returns {Matrix | null}
 */
function cropped(ink, height, width) {
  let most = 0;
  for (const value of ink) most = Math.max(most, value);
  if (most === 0) return null;
  const faintest = Math.floor(most * FAINTEST);
  let [top, bottom, left, right] = [height, 0, width, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (ink[y * width + x] <= faintest) continue;
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
    }
  }
  const digit = matrix(bottom - top, right - left);
  for (let y = 0; y < digit.height; y++) {
    for (let x = 0; x < digit.width; x++) {
      digit.values[y * digit.width + x] = ink[(top + y) * width + left + x];
    }
  }
  return digit;
}

/**
 * Scale so that the longer side is `box`, and one pixel more at each end.
 * @param {Matrix} digit
 * @param {number} box
 * @returns {Matrix}
 */
function shrunk(digit, box) {
  const longest = Math.max(digit.height, digit.width);
  const rows = scalingWeights(digit.height, longest, box);
  const columns = scalingWeights(digit.width, longest, box);
  const narrow = matrix(rows.height, digit.width);
  for (let i = 0; i < rows.height; i++) {
    for (let k = 0; k < digit.height; k++) {
      const weight = rows.values[i * rows.width + k];
      if (weight === 0) continue;
      for (let j = 0; j < digit.width; j++) {
        narrow.values[i * digit.width + j] += weight * digit.values[k * digit.width + j];
      }
    }
  }
  const small = matrix(rows.height, columns.height);
  for (let i = 0; i < small.height; i++) {
    for (let j = 0; j < small.width; j++) {
      let sum = 0;
      for (let k = 0; k < digit.width; k++) {
        sum += narrow.values[i * digit.width + k] * columns.values[j * columns.width + k];
      }
      small.values[i * small.width + j] = sum;
    }
  }
  return small;
}

/**
 * How much each given pixel of an axis counts in each scaled one: a triangle as wide as two scaled
 * pixels, or two given ones where the image is enlarged. Outside is paper.
 * @param {number} given pixels along the axis
 * @param {number} longest pixels along the longer axis
 * @param {number} box pixels wanted along the longer axis
 * @returns {Matrix} (pixels wanted + 2, given)
 */
function scalingWeights(given, longest, box) {
  const wanted = Math.ceil((given * box) / longest) + 2;
  const step = longest / box;
  const reach = Math.max(step, 1);
  const margin = Math.floor(reach) + 1;
  const weights = matrix(wanted, given);
  for (let i = 0; i < wanted; i++) {
    const center = (i + 0.5 - wanted / 2) * step + given / 2;
    let total = 0;
    for (let k = -margin; k < given + margin; k++) {
      const weight = Math.max(1 - Math.abs(k + 0.5 - center) / reach, 0);
      total += weight;
      if (k >= 0 && k < given) weights.values[i * given + k] = weight;
    }
    for (let k = 0; k < given; k++) weights.values[i * given + k] /= total;
  }
  return weights;
}

/**
 * Mean of ink weighted by ink: how saturated the strokes are.
 * @param {Matrix} pixels
 * @returns {number}
 */
function saturation(pixels) {
  let [squares, sum] = [0, 0];
  for (const value of pixels.values) {
    squares += value * value;
    sum += value;
  }
  return squares / sum;
}

/**
 * Multiplied, and cut off at 255, so that the saturation comes near `wanted`.
 * @param {Matrix} pixels
 * @param {number} wanted
 * @returns {Matrix}
 */
function strengthened(pixels, wanted) {
  const factor = Math.max(wanted / saturation(pixels), 1);
  return { ...pixels, values: pixels.values.map((value) => Math.min(value * factor, 255)) };
}

/**
 * Blurred with (b, 1 - 2b, b) along both axes, more the thinner the strokes are.
 * @param {Matrix} thin
 * @param {number} strokes their saturation
 * @returns {Matrix}
 */
function widened(thin, strokes) {
  const b = 0.25 * Math.min((THIN - strokes) / (0.2 * THIN), 1);
  const { height, width, values } = thin;
  /** @type {(source: Float64Array, y: number, x: number) => number} */
  const at = (source, y, x) =>
    y < 0 || y >= height || x < 0 || x >= width ? 0 : source[y * width + x];
  /** @type {(source: Float64Array, dy: number, dx: number) => Float64Array} */
  const blurred = (source, dy, dx) =>
    source.map((value, index) => {
      const [y, x] = [Math.floor(index / width), index % width];
      return (1 - 2 * b) * value + b * (at(source, y - dy, x - dx) + at(source, y + dy, x + dx));
    });
  return { height, width, values: blurred(blurred(values, 1, 0), 0, 1) };
}

/**
 * @param {Matrix} pixels
 * @returns {Matrix}
 */
function withoutBorder(pixels) {
  const inner = matrix(pixels.height - 2, pixels.width - 2);
  for (let y = 0; y < inner.height; y++) {
    for (let x = 0; x < inner.width; x++) {
      inner.values[y * inner.width + x] = pixels.values[(y + 1) * pixels.width + x + 1];
    }
  }
  return inner;
}

/**
 * Where to put an axis of the box so that its center of mass falls on pixel 14; whole numbers.
 * @param {Float64Array} mass ink in each row or column
 * @returns {number}
 */
function start(mass) {
  const total = mass.reduce((sum, value) => sum + value, 0);
  const moment = mass.reduce((sum, value, index) => sum + value * index, 0);
  const place = Math.floor((2 * (CENTER * total - moment) + total) / (2 * total));
  return Math.min(Math.max(place, 0), SIDE - mass.length);
}

/**
 * @param {number} height
 * @param {number} width
 * @returns {Matrix}
 */
function matrix(height, width) {
  return { height, width, values: new Float64Array(height * width) };
}
