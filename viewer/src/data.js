/** Decode the data of the page: a JSON block that posenet/viewer/view.py writes. */
import { Quaternion, Vector3 } from "three";

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);

/** Return n poses from float32 positions (n, 3) and quaternions wxyz (n, 4); null where not finite. */
const decodePoses = (block) => {
  const p = floats(block.positions);
  const q = floats(block.quaternions_wxyz);
  return Array.from({ length: p.length / 3 }, (_, i) =>
    Number.isFinite(p[3 * i]) ? makePose(p.slice(3 * i, 3 * i + 3), q.slice(4 * i, 4 * i + 4)) : null,
  );
};

/** Return a pose from a position and a quaternion wxyz (camera to world axes). */
export const makePose = (position, [w, x, y, z]) => ({
  position: new Vector3(...position),
  rotation: new Quaternion(x, y, z, w).normalize(),
});

/** Return the four sides of an image on the plane z = 1 of its camera. */
export const makeLens = ([left, right, top, bottom]) => ({ left, right, top, bottom });

const jpeg = (base64) => (base64 ? `data:image/jpeg;base64,${base64}` : "");

const decodeTraining = (block, lenses) =>
  decodePoses(block.poses).map((truth, i) => ({
    kind: block.issues?.[i] ? "issue" : "training",
    index: i,
    name: block.names[i],
    lens: lenses[block.cameras[i]],
    truth,
    image: jpeg(block.images[i]),
    issue: block.issues?.[i] ?? null,
    estimates: [],
  }));

const decodeQueries = (block, methods, lenses) => {
  const truths = decodePoses(block.poses);
  const estimates = methods.map((method) => decodePoses(method.poses));
  return truths.map((truth, i) => ({
    kind: "query",
    index: i,
    name: block.names[i],
    lens: lenses[block.cameras[i]],
    truth,
    image: jpeg(block.images[i]),
    match: block.matches?.[i] ?? null,
    sequence: block.sequences[i],
    estimates: methods.map((method, m) => ({
      pose: estimates[m][i],
      positionError: method.position_errors[i],
      rotationError: method.rotation_errors_deg[i],
      inliers: method.num_inliers?.[i] ?? null,
      positionStd: method.position_std?.[i] ?? null,
    })),
  }));
};

/** Return point positions (m, 3), quantized to 16 bits in their box, and colors (m, 3). */
const decodePoints = (block) => {
  const steps = new Uint16Array(bytes(block.positions).buffer);
  const positions = new Float32Array(steps.length);
  for (let i = 0; i < steps.length; i++) {
    const axis = i % 3;
    positions[i] = block.low[axis] + (steps[i] / 65535) * (block.high[axis] - block.low[axis]);
  }
  return { positions, colors: bytes(block.colors) };
};

/** Return the view: training cameras, query images, methods and points. */
export const readView = () => {
  const data = JSON.parse(document.getElementById("view-data").textContent);
  const lenses = data.cameras.map(makeLens);
  return {
    kind: data.kind,
    title: data.title,
    subtitle: data.subtitle,
    unit: data.unit,
    notes: data.notes,
    live: data.live ?? null,
    axes: data.axes,
    center: new Vector3(...data.center),
    methods: data.methods.map(({ name, summary }) => ({ name, summary })),
    baselines: data.baselines,
    training: decodeTraining(data.training, lenses),
    queries: decodeQueries(data.queries, data.methods, lenses),
    points: data.points ? decodePoints(data.points) : null,
  };
};
