/** Geometry of camera frusta. Camera axes: x right, y down, z forward. */
import {
  BufferAttribute,
  BufferGeometry,
  DoubleSide,
  Float32BufferAttribute,
  LineBasicMaterial,
  LineSegments,
  Mesh,
  MeshBasicMaterial,
  Vector3,
} from "three";

/** Return a point of the image plane at distance `size`, in the world. */
const onPlane = (pose, x, y, size) =>
  new Vector3(x * size, y * size, size).applyQuaternion(pose.rotation).add(pose.position);

/** Return the corners of the image: top left, top right, bottom right, bottom left. */
export const imageCorners = (pose, lens, size) => [
  onPlane(pose, lens.left, lens.top, size),
  onPlane(pose, lens.right, lens.top, size),
  onPlane(pose, lens.right, lens.bottom, size),
  onPlane(pose, lens.left, lens.bottom, size),
];

/** Return the lines of a frustum as pairs of points; a triangle marks the upper side. */
const frustumLines = (pose, lens, size) => {
  const corners = imageCorners(pose, lens, size);
  const middle = (lens.left + lens.right) / 2;
  const tip = onPlane(pose, middle, lens.top * 1.45, size);
  const lines = [];
  corners.forEach((corner, i) => lines.push(pose.position, corner, corner, corners[(i + 1) % 4]));
  lines.push(corners[0], tip, tip, corners[1]);
  return lines;
};

/** Return line segments between pairs of points, with a color for each point. */
export const makeLines = (points, colors, opacity = 1) => {
  const geometry = new BufferGeometry().setFromPoints(points);
  const values = new Float32Array(points.length * 3);
  colors.forEach((color, i) => color.toArray(values, 3 * i));
  geometry.setAttribute("color", new BufferAttribute(values, 3));
  const material = new LineBasicMaterial({ vertexColors: true, transparent: opacity < 1, opacity });
  return new LineSegments(geometry, material);
};

/** Return the frusta of cameras {pose, lens, color} as one object. */
export const makeFrusta = (cameras, size, opacity = 1) => {
  const points = [];
  const colors = [];
  for (const { pose, lens, color } of cameras) {
    for (const point of frustumLines(pose, lens, size)) {
      points.push(point);
      colors.push(color);
    }
  }
  return makeLines(points, colors, opacity);
};

/** Return the image of a camera as a textured rectangle in its frustum. */
export const hangImage = (pose, lens, size, texture) => {
  const [topLeft, topRight, bottomRight, bottomLeft] = imageCorners(pose, lens, size);
  const corners = [topLeft, bottomLeft, bottomRight, topRight];
  const geometry = new BufferGeometry().setFromPoints(corners);
  geometry.setIndex([0, 1, 2, 0, 2, 3]);
  geometry.setAttribute("uv", new Float32BufferAttribute([0, 1, 0, 0, 1, 0, 1, 1], 2));
  const material = new MeshBasicMaterial({ map: texture, side: DoubleSide, transparent: true, toneMapped: false });
  return new Mesh(geometry, material);
};
