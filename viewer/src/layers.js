/** What the stage shows: points, cameras, paths and links, in the colors of the theme. */
import { BufferAttribute, BufferGeometry, Color, GridHelper, Points, PointsMaterial, SRGBColorSpace } from "three";
import { errorColor } from "./colors.js";
import { makeFrusta, makeLines } from "./frusta.js";

/** Size of a frustum relative to the radius of the scene. */
const FRUSTUM_SIZE = 1 / 26;
/** Training cameras are drawn smaller than query images. */
const TRAINING_SIZE = 0.55;
/** A path is interrupted where a step is this many times longer than the median step. */
const MAX_STEP = 8;
const POINT_PIXELS = 2.2;

/** Return the size of a query image's frustum. With many cameras, frusta are smaller. */
export const frustumSize = (reach, count) => reach * FRUSTUM_SIZE * Math.min(1, Math.sqrt(400 / Math.max(count, 1)) + 0.35);

/** The linear value of each sRGB byte: three.js mixes light, not sRGB values. */
const LINEAR = Float32Array.from({ length: 256 }, (_, value) => new Color().setRGB(value / 255, 0, 0, SRGBColorSpace).r);

const makePoints = ({ positions, colors }) => {
  const linear = Float32Array.from(colors, (value) => LINEAR[value]);
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(positions, 3));
  geometry.setAttribute("color", new BufferAttribute(linear, 3));
  const size = POINT_PIXELS * Math.min(devicePixelRatio, 2);
  return new Points(geometry, new PointsMaterial({ size, sizeAttenuation: false, vertexColors: true }));
};

/** Return the lines between consecutive positions of each sequence, without jumps. */
const makePath = (queries, poseOf, color) => {
  const steps = [];
  for (let i = 1; i < queries.length; i++) {
    const [from, to] = [poseOf(queries[i - 1])?.position, poseOf(queries[i])?.position];
    if (from && to && queries[i - 1].sequence === queries[i].sequence) steps.push({ from, to, length: from.distanceTo(to) });
  }
  const median = steps.map((step) => step.length).sort((a, b) => a - b)[steps.length >> 1];
  const points = steps.filter((step) => step.length <= MAX_STEP * median).flatMap(({ from, to }) => [from, to]);
  return makeLines(points, points.map(() => color), 0.75);
};

/** Return the objects of each layer for a theme and the chosen method. */
const makeCameras = (view, { theme, method, end, size }) => {
  const truth = new Color(theme.truth);
  const other = new Color(theme.other);
  const trainingColor = new Color(theme.training);
  const issueColor = new Color(theme.issue);
  const estimated = view.queries.filter((query) => query.estimates[method]?.pose);
  const colorOf = (query) => (query.truth ? errorColor(query.estimates[method].positionError, end) : new Color(theme.other));
  const others = view.methods.length > 1 ? view.queries.filter((query) => query.estimates[1 - method]?.pose) : [];
  const withTruth = view.queries.filter((query) => query.truth);
  const drawn = view.training.filter((camera) => camera.truth);
  return {
    estimate: [
      makeFrusta(estimated.map((query) => ({ pose: query.estimates[method].pose, lens: query.lens, color: colorOf(query) })), size),
      makePath(view.queries, (query) => query.estimates[method]?.pose, new Color(theme.training)),
    ],
    truth: [
      makeFrusta(withTruth.map(({ truth: pose, lens }) => ({ pose, lens, color: truth })), size, 0.8),
      makePath(view.queries, (query) => query.truth, truth),
    ],
    links: [linkLines(estimated, method, colorOf)],
    other: [
      makeFrusta(others.map((query) => ({ pose: query.estimates[1 - method].pose, lens: query.lens, color: other })), size, 0.7),
      makePath(view.queries, (query) => query.estimates[1 - method]?.pose, other),
    ],
    training: [
      makeFrusta(
        drawn.map(({ truth: pose, lens, kind }) => ({ pose, lens, color: kind === "issue" ? issueColor : trainingColor })),
        size * TRAINING_SIZE,
        0.85,
      ),
    ],
  };
};

const linkLines = (estimated, method, colorOf) => {
  const pairs = estimated.filter((query) => query.truth);
  const points = pairs.flatMap((query) => [query.estimates[method].pose.position, query.truth.position]);
  return makeLines(points, pairs.flatMap((query) => [colorOf(query), colorOf(query)]), 0.8);
};

export class Layers {
  /** Build the layers of a view on a stage. */
  constructor(stage, view) {
    this.stage = stage;
    this.view = view;
    this.objects = {};
    this.visible = { points: true, training: true, truth: true, estimate: true, links: true, other: false, grid: false };
    if (view.points) this.add("points", [makePoints(view.points)]);
  }

  /** Draw the cameras again, in the colors of a theme and for a method. */
  update(settings) {
    for (const [name, objects] of Object.entries(makeCameras(this.view, settings))) this.add(name, objects);
    this.remove("grid");
    const grid = new GridHelper(4 * this.stage.reach, 20, settings.theme.grid, settings.theme.grid);
    grid.position.y = this.floor();
    this.objects.grid = [grid];
    grid.visible = this.visible.grid;
    this.stage.scene.add(grid);
    this.stage.draw();
  }

  /** Show or hide a layer. */
  show(name, visible) {
    this.visible[name] = visible;
    for (const object of this.objects[name] ?? []) object.visible = visible;
    this.stage.draw();
  }

  add(name, objects) {
    this.remove(name);
    this.objects[name] = objects;
    for (const object of objects) {
      object.visible = this.visible[name];
      this.stage.world.add(object);
    }
  }

  remove(name) {
    for (const object of this.objects[name] ?? []) {
      object.removeFromParent();
      object.geometry.dispose();
      object.material.dispose();
    }
  }

  /** Return the height below which 2 % of the points are, or a little below the cameras. */
  floor() {
    const up = this.view.axes[2];
    const heights = [];
    const { points, training } = this.view;
    if (points) {
      for (let i = 0; i < points.positions.length; i += 30)
        heights.push(up[0] * points.positions[i] + up[1] * points.positions[i + 1] + up[2] * points.positions[i + 2]);
    } else for (const { truth } of training) if (truth) heights.push(truth.position.dot({ x: up[0], y: up[1], z: up[2] }));
    return heights.sort((a, b) => a - b)[Math.floor(0.02 * heights.length)] ?? 0;
  }
}
