// How the rater works the viewer: keys, wheel, fingers, and the panel with a button for each.

import { listen } from "./given.js";
import { Viewer } from "./viewer.js";

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HOLD = "f";
const AMOUNTS = {
  slider: { min: 0, max: 100 },
  difference: { min: 1, max: 32 },
};

const panel = document.getElementById("looking");
const help = document.getElementById("help");

export const viewer = new Viewer(tell);
listen(viewer.given);

const ACTIONS = {
  "+": () => viewer.nearer(),
  "=": () => viewer.nearer(),
  "-": () => viewer.further(),
  0: () => viewer.whole(),
  z: () => viewer.actual(),
  o: () => viewer.choose("single"),
  s: () => viewer.choose("slider"),
  d: () => viewer.choose("difference"),
  v: () => panel.togglePopover(),
  "?": () => help.showModal(),
};

// Whether the key was one for looking, and so none that answers: no key answers under the overlay, nor while each place
// shows the other picture.
export function lookingKey(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (help.open) return key !== "Escape";
  if (event.target.matches?.("[type=range]") && STEPS[key]) return null;
  if (key === HOLD) viewer.flip(true);
  else if (event.shiftKey && STEPS[key]) viewer.step(...STEPS[key]);
  else if (ACTIONS[key]) ACTIONS[key]();
  else return viewer.given.key(event, key) || (viewer.other && viewer.view === "side");
  return true;
}

// The panel, the slider and the label say what is seen.
function tell({ view, other, scale, zoomed, pair, amounts }) {
  document.body.dataset.view = view;
  for (const button of panel.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  const [output, size] = [panel.querySelector("output"), `${Math.round(scale * 100)} %`];
  output.value = zoomed ? size : output.dataset.whole.replace("{size}", size);
  const amount = document.querySelector(".amount");
  amount.hidden = !(view in AMOUNTS);
  if (view in AMOUNTS) {
    Object.assign(amount, { ...AMOUNTS[view], value: amounts[view], ariaLabel: amount.dataset[view] });
  }
  const which = pair.querySelector(".which");
  which.hidden = view !== "single";
  which.dataset.side = other ? "right" : "left";
  pair.dispatchEvent(new Event("looked", { bubbles: true }));
}

addEventListener("keyup", ({ key }) => { if (key.toLowerCase() === HOLD) viewer.flip(false); });
addEventListener("blur", () => viewer.flip(false));
document.addEventListener("input", ({ target }) => { if (target.matches(".amount")) viewer.amount = Number(target.value); });
for (const button of panel.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => viewer.view !== button.dataset.view && viewer.choose(button.dataset.view));
}
for (const button of panel.querySelectorAll("[data-key]")) button.addEventListener("click", () => ACTIONS[button.dataset.key]());

const hold = panel.querySelector("[data-hold]");
hold.addEventListener("pointerdown", () => viewer.flip(true));
for (const end of ["pointerup", "pointerleave", "pointercancel"]) hold.addEventListener(end, () => viewer.flip(false));

const over = (event) => event.target.closest?.(".pane, .context");
document.addEventListener("wheel", (event) => over(event) && viewer.wheel(event), { passive: false });
document.addEventListener("pointerdown", (event) => over(event) && viewer.down(event));
document.addEventListener("pointermove", (event) => viewer.drag(event));
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, (event) => viewer.up(event));
document.addEventListener("dblclick", (event) => {
  if (!over(event)) return;
  if (viewer.zoomed) viewer.whole();
  else viewer.actual(viewer.pointOf(event));
});
