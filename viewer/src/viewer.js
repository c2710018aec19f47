/** The state of the page: what is selected, which method and theme are shown. */
import { THEMES, errorColor, errorGradient, scaleEnd } from "./colors.js";
import { formatAngle, formatLength } from "./format.js";
import { Layers, frustumSize } from "./layers.js";
import { fillPanel, markMethod, showItem } from "./panel.js";
import { watchPointer } from "./picking.js";
import { Selection } from "./selection.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";

const element = (id) => document.getElementById(id);
/** Time between two images of a replay, milliseconds. */
const REPLAY_MS = 160;
/** This quantile of the distances of cameras from the center is the radius of the scene. */
const REACH_QUANTILE = 0.98;

const reachOf = (view) => {
  const cameras = [...view.training.filter((camera) => camera.kind === "training"), ...view.queries];
  const lengths = cameras.filter((camera) => camera.truth).map(({ truth }) => truth.position.length());
  lengths.sort((a, b) => a - b);
  return lengths[Math.floor(REACH_QUANTILE * (lengths.length - 1))] || 1;
};

export class Viewer {
  /** Build the page of a view. */
  constructor(view) {
    this.view = view;
    this.method = 0;
    this.selected = null;
    this.playing = null;
    this.lastWorst = null;
    const reach = reachOf(view);
    this.size = frustumSize(reach, view.training.length + view.queries.length);
    this.stage = new Stage(element("canvas"), view.axes, reach);
    this.stage.onLeave = () => {
      this.selection.showOnly(null);
      this.showThrough(false);
    };
    this.layers = new Layers(this.stage, view);
    this.selection = new Selection(this.stage);
    this.timeline = new Timeline(element("timeline"), view, (index) => this.select(view.queries[index]));
    this.themeName = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    fillPanel(view, { onMethod: (method) => this.setMethod(method) });
    watchPointer(this.stage, {
      view,
      layers: this.layers,
      methodOf: () => this.method,
      onHover: (item, event) => this.hover(item, event),
      onPick: (item) => this.select(item),
    });
    element("gradient").style.background = errorGradient;
  }

  get theme() {
    return THEMES[this.themeName];
  }

  /** Draw everything again after a change of method, theme or queries. */
  update() {
    const errors = this.view.queries.map((query) => query.estimates[this.method]?.positionError);
    this.end = scaleEnd(errors);
    const { theme, method, end, size } = this;
    document.documentElement.dataset.theme = this.themeName;
    this.stage.renderer.setClearColor(theme.background);
    this.layers.update({ theme, method, end, size });
    element("legend-end").textContent = formatLength(end, this.view.unit);
    markMethod(this.view, method);
    if (this.selected) this.select(this.selected);
    else this.drawTimeline();
  }

  setMethod(method) {
    this.method = method;
    this.update();
  }

  setTheme(name) {
    this.themeName = name;
    this.update();
  }

  /** Select an item: show its facts and hang its image into its frusta. */
  select(item) {
    this.selected = item;
    const { theme, method, size } = this;
    showItem(item, this.view, method);
    this.selection.show(item, { theme, method, size, color: this.colorOf(item) });
    element("through").disabled = !(item.truth || item.estimates[method]?.pose);
    if (this.stage.through) this.lookThrough();
    this.drawTimeline();
  }

  colorOf(item) {
    if (item.kind !== "query" || !item.truth) return this.theme.other;
    return errorColor(item.estimates[this.method]?.positionError, this.end);
  }

  /** Select the query image `step` places further. */
  move(step) {
    const { queries } = this.view;
    if (!queries.length) return;
    const now = this.selected?.kind === "query" ? this.selected.index : -Math.sign(step);
    this.select(queries[(now + step + queries.length) % queries.length]);
  }

  /** Select the image with the next smaller error, first the one with the largest. */
  nextWorst() {
    const errorOf = (query) => {
      const error = query.estimates[this.method]?.positionError;
      return Number.isFinite(error) ? error : Infinity;
    };
    const order = this.view.queries.filter((query) => query.truth).sort((a, b) => errorOf(b) - errorOf(a));
    if (!order.length) return;
    const place = this.selected === this.lastWorst ? order.indexOf(this.lastWorst) : -1;
    this.lastWorst = order[(place + 1) % order.length];
    this.select(this.lastWorst);
  }

  play(on = !this.playing) {
    clearInterval(this.playing);
    this.playing = on ? setInterval(() => this.move(1), REPLAY_MS) : null;
    element("play").textContent = on ? "Pause" : "Play";
  }

  /** Look through the camera of the selected image: the true pose, or the estimate without one. */
  lookThrough() {
    const item = this.selected;
    const pose = item?.truth ?? item?.estimates[this.method]?.pose;
    if (!pose) return;
    this.selection.showOnly(pose);
    this.stage.lookThrough(pose, item.lens);
    this.showThrough(true);
  }

  toggleThrough() {
    if (this.stage.through) this.stage.leaveCamera();
    else this.lookThrough();
  }

  /** Hide or show what would be in the way of looking through a camera. */
  showThrough(on) {
    for (const name of ["training", "truth", "estimate", "links", "other", "grid"])
      for (const object of this.layers.objects[name] ?? []) object.visible = !on && this.layers.visible[name];
    element("through").textContent = on ? "Leave the camera" : "Look through";
    element("stage").classList.toggle("through", on);
    this.stage.draw();
  }

  hover(item, event) {
    const tip = element("tip");
    this.stage.canvas.style.cursor = item ? "pointer" : "";
    tip.hidden = !item;
    if (!item) return;
    const estimate = item.estimates[this.method];
    const errors = item.truth && estimate ? `\n${formatLength(estimate.positionError, this.view.unit)}, ${formatAngle(estimate.rotationError)}` : "";
    tip.textContent = item.name + (item.issue ? `\n${item.issue}` : errors);
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  }

  drawTimeline() {
    if (element("timeline-box").hidden) return;
    const selected = this.selected?.kind === "query" ? this.selected.index : null;
    this.timeline.draw({ method: this.method, end: this.end, selected, theme: this.theme, showOther: this.layers.visible.other });
  }

  resize() {
    this.stage.resize();
    this.drawTimeline();
  }
}
