/** Find the camera under a pointer, by the distance of its center on the screen. */

/** Largest distance in pixels from a camera's center, for a mouse and for a finger. */
const MOUSE_PIXELS = 10;
const FINGER_PIXELS = 22;
/** A movement up to this many pixels between press and release is a click. */
const CLICK_PIXELS = 5;

/** Return what can be picked now: items with a position. */
const candidates = (view, layers, method) => {
  const { visible } = layers;
  const found = [];
  if (visible.training)
    for (const item of view.training) if (item.truth) found.push({ item, position: item.truth.position });
  for (const item of view.queries) {
    if (visible.truth && item.truth) found.push({ item, position: item.truth.position });
    const estimate = item.estimates[method]?.pose;
    if (visible.estimate && estimate) found.push({ item, position: estimate.position });
    const other = item.estimates[1 - method]?.pose;
    if (visible.other && other) found.push({ item, position: other.position });
  }
  return found;
};

/** Return the item nearest to a pixel, null if none is within `radius` pixels. */
const nearest = (stage, found, x, y, radius) => {
  let best = null;
  for (const { item, position } of found) {
    const pixel = stage.project(position);
    if (!pixel) continue;
    const distance = Math.hypot(pixel.x - x, pixel.y - y);
    // Of two at the same place, a query image is meant rather than a training image.
    const rank = distance + (item.kind === "training" ? 1 : 0);
    if (distance <= radius && (!best || rank < best.rank)) best = { item, rank };
  }
  return best?.item ?? null;
};

/** Call `onHover(item, event)` and `onPick(item)` for the cameras under the pointer. */
export const watchPointer = (stage, { view, layers, methodOf, onHover, onPick }) => {
  const { canvas } = stage;
  const under = (event) => {
    if (stage.through) return null;
    const box = canvas.getBoundingClientRect();
    const radius = event.pointerType === "touch" ? FINGER_PIXELS : MOUSE_PIXELS;
    const found = candidates(view, layers, methodOf());
    return nearest(stage, found, event.clientX - box.left, event.clientY - box.top, radius);
  };
  let pressed = null;
  canvas.addEventListener("pointermove", (event) => onHover(event.buttons ? null : under(event), event));
  canvas.addEventListener("pointerleave", (event) => onHover(null, event));
  canvas.addEventListener("pointerdown", (event) => (pressed = { x: event.clientX, y: event.clientY }));
  canvas.addEventListener("pointerup", (event) => {
    if (!pressed || Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > CLICK_PIXELS) return;
    const item = under(event);
    if (item) onPick(item);
  });
};
