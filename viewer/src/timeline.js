/** The errors of all query images in their order: click or drag to select one. */
import { errorColor } from "./colors.js";

export class Timeline {
  /** Draw on a canvas; `onSelect(index)` is called with the image under the pointer. */
  constructor(canvas, view, onSelect) {
    this.canvas = canvas;
    this.view = view;
    const select = (event) => {
      if (!view.queries.length || (event.type === "pointermove" && !event.buttons)) return;
      const place = Math.floor((event.offsetX / canvas.clientWidth) * view.queries.length);
      onSelect(Math.min(Math.max(place, 0), view.queries.length - 1));
    };
    canvas.addEventListener("pointerdown", select);
    canvas.addEventListener("pointermove", select);
  }

  /** Draw bars as high as the error of the chosen method, and dots for the other method if it is shown. */
  draw({ method, end, selected, theme, showOther }) {
    const { canvas, view } = this;
    const context = canvas.getContext("2d");
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
    context.scale(devicePixelRatio, devicePixelRatio);
    const step = width / view.queries.length;
    const highOf = (error) => Math.max(2, Math.min(error / (1.15 * end), 1) * (height - 4));
    view.queries.forEach((query, i) => {
      const error = query.estimates[method]?.positionError;
      const high = Number.isFinite(error) ? highOf(error) : height;
      context.fillStyle = Number.isFinite(error) ? `#${errorColor(error, end).getHexString()}` : theme.grid;
      context.fillRect(i * step, height - high, Math.max(step - 0.75, 0.5), high);
      const other = query.estimates[1 - method]?.positionError;
      if (!showOther || !Number.isFinite(other)) return;
      context.fillStyle = theme.other;
      context.fillRect(i * step + step / 2 - 1, height - highOf(other) - 1, 2, 2);
    });
    if (selected === null) return;
    context.fillStyle = theme.truth;
    context.fillRect((selected + 0.5) * step - 1, 0, 2, height);
  }
}
