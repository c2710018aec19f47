/** The 3-D stage: renderer, free camera, and the view through a photograph's own camera. */
import { Group, Matrix4, PerspectiveCamera, Quaternion, Scene, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

const FIELD_OF_VIEW_DEG = 50;
/** Part of the stage that an image fills when one looks through its camera. */
const FILLED = 0.9;

/** Return the matrix from world axes to those of three.js, y up. */
const turnUp = ([x, y, up]) =>
  new Matrix4().set(x[0], x[1], x[2], 0, up[0], up[1], up[2], 0, -y[0], -y[1], -y[2], 0, 0, 0, 0, 1);

export class Stage {
  /** Create the stage on a canvas. `reach` is the radius of the scene. */
  constructor(canvas, axes, reach) {
    this.canvas = canvas;
    this.reach = reach;
    this.renderer = new WebGLRenderer({ antialias: true, canvas });
    this.scene = new Scene();
    this.world = new Group();
    this.world.matrixAutoUpdate = false;
    this.world.matrix.copy(turnUp(axes));
    this.scene.add(this.world);
    this.world.updateMatrixWorld(true);
    this.camera = new PerspectiveCamera(FIELD_OF_VIEW_DEG, 1, reach / 1000, reach * 200);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = true;
    this.controls.addEventListener("change", () => this.draw());
    this.controls.addEventListener("start", () => this.leaveCamera());
    this.through = null;
    this.onLeave = () => {};
    this.asked = false;
  }

  /** Draw soon, once. */
  draw() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (!this.through && this.controls.update()) this.draw();
      this.renderer.render(this.scene, this.camera);
    });
  }

  /** Fit the drawing to the size of the canvas. */
  resize() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    if (!clientWidth || !clientHeight) return;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(clientWidth, clientHeight, false);
    this.camera.aspect = clientWidth / clientHeight;
    if (this.through) this.lookThrough(this.through.pose, this.through.lens);
    else this.camera.updateProjectionMatrix();
    this.draw();
  }

  /** Show the whole scene, "above" or "side". */
  overview(from) {
    this.leaveCamera();
    this.controls.target.set(0, 0, 0);
    this.camera.up.set(0, 1, 0);
    const distance = this.reach * Math.max(1, 1 / this.camera.aspect);
    const above = new Vector3(0, 2.5 * distance, 0.001 * distance);
    const side = new Vector3(1.1 * distance, 1.0 * distance, 1.5 * distance);
    this.camera.position.copy(from === "above" ? above : side);
    this.controls.update();
    this.draw();
  }

  /** Move the free camera so that a point of the world is in the middle. */
  center(point) {
    this.leaveCamera();
    const target = point.clone().applyMatrix4(this.world.matrix);
    this.camera.position.add(target.clone().sub(this.controls.target));
    this.controls.target.copy(target);
    this.controls.update();
    this.draw();
  }

  /** Look through the camera of an image: its four sides appear as a rectangle on the stage. */
  lookThrough(pose, lens) {
    const turn = new Quaternion().setFromRotationMatrix(this.world.matrix).multiply(pose.rotation);
    const position = pose.position.clone().applyMatrix4(this.world.matrix);
    if (!this.through) this.free = { position: this.camera.position.clone(), up: this.camera.up.clone() };
    this.through = { pose, lens };
    // OpenCV's camera looks along +z with y down, that of three.js along -z with y up.
    const flip = new Quaternion(1, 0, 0, 0);
    this.camera.position.copy(position);
    this.camera.quaternion.copy(turn).multiply(flip);
    this.camera.updateMatrixWorld(true);
    const width = lens.right - lens.left;
    const height = lens.bottom - lens.top;
    const scale = Math.max(height, width / this.camera.aspect) / FILLED;
    const [x, y] = [(lens.left + lens.right) / 2, (lens.top + lens.bottom) / 2];
    const [w, h] = [(scale * this.camera.aspect) / 2, scale / 2];
    const near = this.camera.near;
    this.camera.projectionMatrix.makePerspective(
      (x - w) * near, (x + w) * near, (-y + h) * near, (-y - h) * near, near, this.camera.far,
    );
    this.camera.projectionMatrixInverse.copy(this.camera.projectionMatrix).invert();
    this.draw();
  }

  /** Return to the free camera. */
  leaveCamera() {
    if (!this.through) return;
    this.through = null;
    this.camera.position.copy(this.free.position);
    this.camera.up.copy(this.free.up);
    this.camera.updateProjectionMatrix();
    this.controls.update();
    this.onLeave();
    this.draw();
  }

  /** Return the pixel of a point of the world, null if it is behind the camera. */
  project(point) {
    const seen = point.clone().applyMatrix4(this.world.matrix).project(this.camera);
    if (seen.z > 1 || seen.z < -1) return null;
    const { clientWidth, clientHeight } = this.canvas;
    return { x: ((seen.x + 1) / 2) * clientWidth, y: ((1 - seen.y) / 2) * clientHeight, depth: seen.z };
  }
}
