/** The selected image, hung into its true and its estimated frustum. */
import { Color, Group, SRGBColorSpace, TextureLoader } from "three";
import { hangImage, makeFrusta } from "./frusta.js";

/** Size of the selected frusta relative to the others. */
const SELECTED_SIZE = 3.2;
const IMAGE_OPACITY = 0.85;

export class Selection {
  /** Create an empty selection on a stage. */
  constructor(stage) {
    this.stage = stage;
    this.group = new Group();
    this.loader = new TextureLoader();
    this.textures = new Map();
    this.opacity = IMAGE_OPACITY;
    stage.world.add(this.group);
  }

  /** Hang the image of an item into its frusta. */
  show(item, { theme, method, color, size }) {
    this.clear();
    const texture = item.image ? this.texture(item.image) : null;
    const estimate = item.estimates[method]?.pose;
    if (item.truth) this.hang(item.truth, item, item.kind === "query" ? theme.truth : theme.training, size, texture);
    if (estimate) this.hang(estimate, item, color, size, texture);
    this.stage.draw();
  }

  hang(pose, item, color, size, texture) {
    const large = size * SELECTED_SIZE;
    const objects = [makeFrusta([{ pose, lens: item.lens, color: new Color(color) }], large)];
    if (texture) objects.push(hangImage(pose, item.lens, large, texture));
    for (const object of objects) {
      object.userData.pose = pose;
      if (object.material.map) object.material.opacity = this.opacity;
      this.group.add(object);
    }
  }

  /** Set how opaque the hung images are, 0 to 1. */
  setOpacity(opacity) {
    this.opacity = opacity;
    for (const { material } of this.group.children) if (material.map) material.opacity = opacity;
    this.stage.draw();
  }

  /** Show only what hangs at one pose; everything if it is null. */
  showOnly(pose) {
    for (const object of this.group.children) object.visible = pose === null || object.userData.pose === pose;
  }

  clear() {
    for (const object of [...this.group.children]) {
      object.removeFromParent();
      object.geometry.dispose();
      object.material.dispose();
    }
  }

  /** Return the texture of an image; the last few are kept. */
  texture(url) {
    if (this.textures.has(url)) return this.textures.get(url);
    const texture = this.loader.load(url, () => this.stage.draw());
    texture.colorSpace = SRGBColorSpace;
    this.textures.set(url, texture);
    if (this.textures.size > 16) {
      const [oldest, old] = this.textures.entries().next().value;
      old.dispose();
      this.textures.delete(oldest);
    }
    return texture;
  }
}
