/** The live page: ask the server for the pose of images from files, a webcam or a video. */
import { makeLens, makePose } from "./data.js";

const element = (id) => document.getElementById(id);
/** Images of a webcam are sent with this width at most, pixels. */
const SENT_WIDTH = 960;
const JPEG_QUALITY = 0.9;
/** Number of answers that stay on the map. */
const KEPT = 200;
/** Field of view that is drawn if the intrinsics are unknown, as sides on the plane z = 1. */
const UNKNOWN_LENS = [-0.6, 0.6, -0.45, 0.45];
/** Number of files that are asked for at the same time. */
const PARALLEL = 4;

const say = (text, isError = false) => {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
};

/** Send an image; return the server's answer. Errors of the image are in `error`. */
const ask = async (blob, name, track = "") => {
  const query = new URLSearchParams(track ? { name, track } : { name });
  const response = await fetch(`localize?${query}`, { method: "POST", body: blob });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { name, error: `the server answered ${response.status}` };
  }
};

const lensOf = (answer) => {
  if (!answer.fov) return makeLens(UNKNOWN_LENS);
  const [width, height] = answer.fov;
  return makeLens([-width / 2, width / 2, -height / 2, height / 2]);
};

/** Turn an answer into a query image of the page. */
const toItem = (viewer, answer, url) => {
  const match = viewer.view.training.findIndex((camera) => camera.name === answer.retrieved_image);
  const pose = makePose(answer.position, answer.quaternion_wxyz);
  pose.position.sub(viewer.view.center);
  return {
    kind: "query",
    index: viewer.view.queries.length,
    name: answer.name,
    kindText: answer.refined ? "localized" : "not refined: perhaps not in this place",
    lens: lensOf(answer),
    truth: null,
    image: url,
    match: match < 0 ? null : match,
    sequence: "live",
    seconds: answer.seconds,
    estimates: [{ pose, inliers: answer.num_inliers, positionStd: answer.position_std }],
  };
};

/** Put an answer on the map and into the list. */
const add = (viewer, answer, url) => {
  const { queries } = viewer.view;
  const entry = document.createElement("button");
  entry.type = "button";
  if (answer.error || !answer.valid) {
    const reason = answer.error ?? answer.reason ?? "no pose found";
    entry.textContent = reason.startsWith(answer.name) ? reason : `${answer.name}: ${reason}`;
    say(entry.textContent, true);
    entry.className = "error";
  } else {
    const item = toItem(viewer, answer, url);
    queries.push(item);
    if (queries.length > KEPT) URL.revokeObjectURL(queries.shift().image);
    queries.forEach((query, i) => (query.index = i));
    entry.textContent = `${answer.name}: ${answer.position.map((value) => value.toFixed(2)).join(" ")}`;
    entry.addEventListener("click", () => viewer.select(item));
    say(`${answer.name}: localized in ${answer.seconds.toFixed(2)} s`);
    viewer.selected = item;
    viewer.update();
  }
  element("answers").prepend(entry);
  while (element("answers").children.length > KEPT) element("answers").lastChild.remove();
};

const localizeFiles = async (viewer, files) => {
  const waiting = [...files];
  const total = waiting.length;
  let done = 0;
  const work = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      if (file.type.startsWith("video/")) await followVideo(viewer, URL.createObjectURL(file), file.name);
      else {
        const answer = await ask(file, file.name).catch((error) => ({ error: `no answer (${error.message})` }));
        add(viewer, { name: file.name, ...answer }, URL.createObjectURL(file));
      }
      done += 1;
      if (done < total) say(`${done} of ${total} images localized`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, total) }, work));
};

let playing = null;

/** Ask for the newest frame of a video element again and again, until `isOn` is false. */
const follow = async (viewer, video, name, isOn) => {
  const canvas = document.createElement("canvas");
  const scale = Math.min(1, SENT_WIDTH / video.videoWidth);
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const track = `${name}-${Date.now()}`;
  for (let number = 0; isOn(); number++) {
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
    const answer = await ask(blob, `${name} ${number}`, track).catch((error) => ({ error: `no answer (${error.message})` }));
    if (!isOn()) break;
    add(viewer, { name: `${name} ${number}`, ...answer }, URL.createObjectURL(blob));
    if (answer.error) await new Promise((resolve) => setTimeout(resolve, 500));
  }
};

const followVideo = async (viewer, url, name) => {
  const video = Object.assign(document.createElement("video"), { src: url, muted: true });
  try {
    await video.play();
    await follow(viewer, video, name, () => !video.ended);
  } catch (error) {
    say(`${name}: the browser cannot play this video (${error.message})`, true);
  } finally {
    URL.revokeObjectURL(url);
  }
};

const toggleWebcam = async (viewer) => {
  if (playing) {
    for (const track of playing.getTracks()) track.stop();
    playing = null;
    element("webcam").textContent = "Webcam";
    return;
  }
  try {
    playing = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: SENT_WIDTH } } });
  } catch (error) {
    say(`the webcam cannot be used: ${error.message}`, true);
    return;
  }
  element("webcam").textContent = "Stop the webcam";
  const video = Object.assign(document.createElement("video"), { srcObject: playing, muted: true, playsInline: true });
  await video.play();
  const stream = playing;
  await follow(viewer, video, "webcam", () => playing === stream);
};

/** Show the controls of the live page. */
export const startLive = (viewer) => {
  element("live").hidden = false;
  // The token of the address is in a cookie from now on; it need not stay visible.
  history.replaceState(null, "", location.pathname);
  element("files").addEventListener("change", (event) => {
    localizeFiles(viewer, [...event.target.files]);
    event.target.value = ""; // the same file can be chosen again
  });
  element("webcam").addEventListener("click", () => toggleWebcam(viewer));
  element("webcam").hidden = !navigator.mediaDevices;
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  addEventListener("dragleave", (event) => !event.relatedTarget && document.body.classList.remove("dragging"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    localizeFiles(viewer, event.dataTransfer.files);
  });
  say("Drop an image anywhere on this page, or choose one.");
};
