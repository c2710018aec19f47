/** The panel beside the stage: the selected image, its best match, and its errors. */
import { formatAngle, formatLength, formatNumber } from "./format.js";

const element = (id) => document.getElementById(id);

const makeRow = ([name, value]) => {
  const row = document.createElement("tr");
  row.append(document.createElement("th"), document.createElement("td"));
  row.children[0].textContent = name;
  row.children[1].textContent = value;
  return row;
};

const rowsOf = (item, view, method) => {
  if (item.kind === "issue") return [["issue", item.issue]];
  const { position } = item.truth ?? item.estimates[method]?.pose ?? {};
  const place = position ? position.clone().add(view.center).toArray().map((value) => value.toFixed(3)).join("  ") : "none";
  const rows = [];
  item.estimates.forEach((estimate, m) => {
    if (item.truth) {
      const errors = estimate.pose ? `${formatLength(estimate.positionError, view.unit)}, ${formatAngle(estimate.rotationError)}` : "no pose";
      rows.push([`${view.methods[m].name} error`, errors]);
    }
  });
  const estimate = item.estimates[method];
  if (estimate?.inliers !== null && estimate?.inliers !== undefined) rows.push(["inliers", String(estimate.inliers)]);
  if (Number.isFinite(estimate?.positionStd)) rows.push(["standard deviation", formatLength(estimate.positionStd, view.unit)]);
  if (item.seconds) rows.push(["time", `${formatNumber(item.seconds)} s`]);
  rows.push([item.truth ? "true position" : "position", place]);
  return rows;
};

const showImage = (figure, item, caption) => {
  const image = figure.querySelector("img");
  figure.hidden = !item;
  if (!item) return;
  image.hidden = !item.image;
  if (item.image) image.src = item.image;
  figure.querySelector("figcaption").textContent = item.image ? caption : `${caption} (no thumbnail)`;
};

const queryName = (view) => (view.kind === "scene" ? "test image" : "query image");

/** Show an item: image, best match and facts. */
export const showItem = (item, view, method) => {
  const names = { query: `${item.index + 1} of ${view.queries.length} ${queryName(view)}s`, training: "training image", issue: "label issue" };
  element("name").textContent = item.name;
  element("kind").textContent = item.kindText ?? names[item.kind];
  const match = item.kind === "query" && item.match !== null ? view.training[item.match] : null;
  showImage(element("query"), item, item.kind === "query" ? queryName(view) : names[item.kind]);
  showImage(element("match"), match, match ? `best match: ${match.name}` : "");
  element("facts").replaceChildren(...rowsOf(item, view, method).map(makeRow));
};

/** Fill the parts that stay: title, methods, layers and notes. */
export const fillPanel = (view, { onMethod }) => {
  if (view.kind === "scene") element("layer-truth").nextElementSibling.textContent = "test cameras";
  document.title = `${view.title} - posenet`;
  element("title").textContent = view.title;
  element("subtitle").textContent = view.subtitle;
  element("notes").replaceChildren(
    ...view.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })),
  );
  const has = { estimate: view.methods.length, truth: view.queries.some((query) => query.truth), points: view.points,
    links: view.methods.length && view.queries.some((query) => query.truth), other: view.methods.length > 1, training: view.training.length, grid: true };
  for (const [name, present] of Object.entries(has)) element(`layer-${name}`).parentElement.hidden = !present;
  const buttons = view.methods.map((method, m) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const label = document.createElement("strong");
    label.textContent = method.name;
    const summary = document.createElement("span");
    summary.textContent = method.summary;
    button.append(label, summary);
    button.addEventListener("click", () => onMethod(m));
    return button;
  });
  element("methods").replaceChildren(...buttons);
  element("methods").hidden = view.live;
  element("baselines").replaceChildren(...Object.entries(view.baselines).map(makeRow));
  for (const id of ["replay", "timeline-box", "legend"]) element(id).hidden = !view.queries.length || !view.methods.length;
  element("through").disabled = true;
};

/** Mark the chosen method. */
export const markMethod = (view, method) => {
  [...element("methods").children].forEach((button, m) => button.setAttribute("aria-pressed", String(m === method)));
  if (view.methods.length > 1) element("layer-other").nextElementSibling.textContent = `${view.methods[1 - method].name} path`;
};
