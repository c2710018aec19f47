/** Colors of both themes, and the scale of errors. */
import { Color } from "three";

export const THEMES = {
  light: { background: "#f6f7f9", truth: "#1f3a5f", training: "#98a2ae", other: "#7a5ea8", issue: "#d00000", grid: "#dde1e6" },
  dark: { background: "#14181e", truth: "#9dbbe3", training: "#5d6875", other: "#b79be6", issue: "#ff5d5d", grid: "#262c35" },
};

/** From a small to a large error: teal, sand, crimson. */
const STOPS = ["#2a9d8f", "#7fb069", "#e9c46a", "#f08a4b", "#d1495b"].map((text) => new Color(text));
/** The error at the end of the scale is this quantile of all errors. */
const QUANTILE = 0.95;

export const errorGradient = `linear-gradient(90deg, ${STOPS.map((stop) => "#" + stop.getHexString()).join(", ")})`;

/** Return the error at the end of the scale. */
export const scaleEnd = (errors) => {
  const finite = errors.filter(Number.isFinite).sort((a, b) => a - b);
  return finite[Math.floor(QUANTILE * (finite.length - 1))] || 1;
};

/** Return the color of an error on a scale that ends at `end`. */
export const errorColor = (error, end) => {
  if (!Number.isFinite(error)) return STOPS.at(-1).clone();
  const place = Math.min(Math.max(error / end, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[low].clone().lerp(STOPS[low + 1], place - low);
};
