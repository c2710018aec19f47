/** Numbers with their units, as text. */

/** Return a number with three significant digits. */
export const formatNumber = (value, digits = 3) => {
  if (!Number.isFinite(value)) return "none";
  const text = Number(value.toPrecision(digits));
  return Math.abs(text) >= 1e5 || (text !== 0 && Math.abs(text) < 1e-4) ? text.toExponential() : String(text);
};

/** Return a length; below 10 cm in centimeters if the unit is the meter. */
export const formatLength = (value, unit) => {
  if (!Number.isFinite(value)) return "none";
  if (unit === "m" && Math.abs(value) < 0.1) return `${formatNumber(value * 100)} cm`;
  return `${formatNumber(value)} ${unit}`;
};

/** Return an angle in degrees. */
export const formatAngle = (value) => (Number.isFinite(value) ? `${formatNumber(value)}°` : "none");
