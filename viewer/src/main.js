/** The page of an evaluation, a scene or a live run. */
import { readView } from "./data.js";
import { connectControls } from "./keys.js";
import { startLive } from "./live.js";
import { Viewer } from "./viewer.js";

const started = performance.now();
const view = readView();
const viewer = new Viewer(view);
viewer.update();
connectControls(viewer);
addEventListener("resize", () => viewer.resize());
viewer.resize();
viewer.stage.overview("side");
if (view.live) startLive(viewer);
else if (view.queries.length) viewer.select(view.queries[0]);
viewer.stage.renderer.render(viewer.stage.scene, viewer.stage.camera);
/** For scripts and tests: the state of the page, and how long it took to be ready. */
window.posenet = { viewer, readyMs: performance.now() - started };
