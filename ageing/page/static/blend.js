// Adds the changes of faces to a photo, as ageing/faces/blending.py does, on the pixels of the preview.

// The server's answer, see ageing/page/preview.py: {size, levels, weights, pixels, faces}.
// pixels: RGBA. Each face: {box, aligned, place, weights, deltas: {layer: Int16Array}}.
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const array = (Kind, start, count) => new Kind(buffer, 4 + length + start, count);
  const faces = head.faces.map((face) => {
    const count = face.place[2] * face.place[3];
    const deltas = {};
    for (const [layer, start] of Object.entries(face.deltas)) deltas[layer] = array(Int16Array, start, 3 * count);
    return { ...face, weights: array(Uint16Array, face.weights, count), deltas };
  });
  const [width, height] = head.size;
  return { ...head, pixels: array(Uint8ClampedArray, 0, 4 * width * height), faces };
}

// Put one more layer, the server's answer, into the faces.
export function unpackLayer(photo, layer, buffer) {
  let start = 0;
  for (const { deltas, weights } of photo.faces) {
    deltas[layer] = new Int16Array(buffer, start, 3 * weights.length);
    start += deltas[layer].byteLength;
  }
}

// What to add at strength 1 if `faces` are changed: {left, top, width, height, values: Float32Array of RGB}; null if
// nothing. Where faces overlap, it is the mean of their changes by weight, with the largest weight.
export function changeOf(photo, faces, layer) {
  const shown = faces.filter((face) => face.weights.length);
  if (!shown.length) return null;
  const left = Math.min(...shown.map(({ place }) => place[0]));
  const top = Math.min(...shown.map(({ place }) => place[1]));
  const width = Math.max(...shown.map(({ place }) => place[0] + place[2])) - left;
  const height = Math.max(...shown.map(({ place }) => place[1] + place[3])) - top;
  const values = new Float32Array(3 * width * height);
  const sums = new Float32Array(width * height);
  const largest = new Float32Array(width * height);
  for (const { place: [x, y, columns, rows], weights, deltas } of shown) {
    const delta = deltas[layer];
    for (let row = 0, from = 0; row < rows; row++) {
      let to = (y - top + row) * width + x - left;
      for (let column = 0; column < columns; column++, from++, to++) {
        const weight = weights[from] / photo.weights;
        if (!weight) continue;
        for (let c = 0; c < 3; c++) values[3 * to + c] += weight * delta[3 * from + c] / photo.levels;
        sums[to] += weight;
        if (weight > largest[to]) largest[to] = weight;
      }
    }
  }
  for (let i = 0; i < sums.length; i++) {
    if (sums[i] === largest[i]) continue; // one face alone
    const factor = largest[i] / sums[i];
    for (let c = 0; c < 3; c++) values[3 * i + c] *= factor;
  }
  return { left, top, width, height, values };
}

// Write photo.pixels into `image`, an ImageData, with `changes` of the same faces: one or two [change, share].
export function add(photo, changes, image) {
  const [[{ left, top, width, height, values }, share], [{ values: others }, rest] = [{ values }, 0]] = changes;
  const from = photo.pixels;
  const to = image.data; // clamped: it rounds as numpy.rint does
  for (let row = 0, i = 0; row < height; row++) {
    let at = 4 * ((top + row) * photo.size[0] + left);
    for (let column = 0; column < width; column++, at += 4, i += 3) {
      to[at] = from[at] + share * values[i] + rest * others[i];
      to[at + 1] = from[at + 1] + share * values[i + 1] + rest * others[i + 1];
      to[at + 2] = from[at + 2] + share * values[i + 2] + rest * others[i + 2];
    }
  }
}
