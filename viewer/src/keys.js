/** Buttons, check boxes and keys of the page. */

const element = (id) => document.getElementById(id);

/** Connect the buttons and keys with the viewer. */
export const connectControls = (viewer) => {
  const actions = {
    ArrowRight: () => viewer.move(1),
    ArrowLeft: () => viewer.move(-1),
    " ": () => viewer.play(),
    w: () => viewer.nextWorst(),
    l: () => viewer.toggleThrough(),
    Escape: () => viewer.stage.leaveCamera(),
    a: () => viewer.stage.overview("above"),
    s: () => viewer.stage.overview("side"),
    m: () => viewer.view.methods.length > 1 && viewer.setMethod(1 - viewer.method),
    d: () => viewer.setTheme(viewer.themeName === "dark" ? "light" : "dark"),
    "?": () => element("help").showModal(),
  };
  const buttons = { previous: "ArrowLeft", next: "ArrowRight", play: " ", worst: "w", through: "l", above: "a", side: "s", theme: "d", keys: "?" };
  for (const [id, key] of Object.entries(buttons)) element(id).addEventListener("click", actions[key]);
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|BUTTON|TEXTAREA)$/.test(event.target.tagName) && event.key === " ";
    if (!actions[event.key] || typing || element("help").open || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  });
  for (const box of document.querySelectorAll("[id^=layer-]")) {
    const name = box.id.replace("layer-", "");
    box.checked = viewer.layers.visible[name];
    box.addEventListener("change", () => {
      viewer.layers.show(name, box.checked);
      viewer.drawTimeline();
    });
  }
  element("opacity").addEventListener("input", (event) => viewer.selection.setOpacity(Number(event.target.value)));
};
