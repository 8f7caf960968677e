// Marking where a side is wrong: a rectangle or a point, kept in shares of the picture, so that it stays where it is when
// both are zoomed. By dragging or clicking; by keys a cross is moved, and set for one corner and the other.

import { viewer } from "./looking.js";
import { player } from "./playing.js";
import { say } from "./sending.js";
import { desk, form } from "./showing.js";

const STEP = 24; // CSS pixels by one press of an arrow
const FINE = 3;
const BRIEF = 2500; // milliseconds
const POINT = 6; // CSS pixels; what is smaller is a point
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SIDES = ["left", "right"];
const notice = document.getElementById("notice");

let aim = null; // while marking: side, where the cross is, the corner that is set, and whether a pointer drags
let markedAt = -Infinity;
let quiet = 0;

const button = () => desk().querySelector("[data-mark]");
const field = () => form().elements.region;
const region = () => (field()?.value ? JSON.parse(field().value) : null);
const share = (value) => Math.min(1, Math.max(0, value));

function begin() {
  if (viewer.view === "difference") viewer.choose("difference"); // where a place is on neither side
  if (player.playing) player.pause();
  aim = { side: seen() ?? "left", ...middle(), corner: null };
  tellSide("on", told(matchMedia("(hover: hover)").matches ? "how" : "how-touched"));
  draw();
}

function end() {
  aim = null;
  draw();
}

function stop() {
  say("");
  end();
}

function remove() {
  field().value = "";
  tellBriefly(told("removed"));
  end();
}

// The rectangle between the corner and where the cross is now.
function between({ side, x, y, corner }) {
  const from = corner ?? { x, y };
  const { width, height } = viewer.place;
  const small = Math.abs(x - from.x) * width < POINT && Math.abs(y - from.y) * height < POINT;
  if (small) return { side, ...round(from), width: 0, height: 0 };
  const [low, high] = [round({ x: Math.min(x, from.x), y: Math.min(y, from.y) }), round({ x: Math.max(x, from.x), y: Math.max(y, from.y) })];
  return { side, ...low, width: round1(high.x - low.x), height: round1(high.y - low.y) };
}

const round1 = (value) => Number(value.toFixed(4));
const round = ({ x, y }) => ({ x: round1(x), y: round1(y) });

function keep() {
  field().value = JSON.stringify({ ...between(aim), ...time() });
  markedAt = performance.now();
  tellSide("marked");
  end();
}

// When the frame begins that she marks; a picture has no time.
const time = () => (player.videos.length ? { seconds: Number((player.place / player.rate).toFixed(3)) } : {});

const told = (what) => button().getAttribute(`data-${what}`);

// Where the sides lie one above the other, they are called so.
function tellSide(what, more = "") {
  const name = matchMedia("(max-aspect-ratio: 1)").matches ? { left: "upper", right: "lower" }[aim.side] : aim.side;
  const sentence = told(`${what}-${name}`);
  if (what === "marked") tellBriefly(sentence);
  else say(`${sentence} ${more}`.trim());
}

// Seen for a moment only, since it lies over the question.
function tellBriefly(sentence) {
  say(sentence);
  clearTimeout(quiet);
  quiet = setTimeout(() => { if (notice.textContent === sentence) say(""); }, BRIEF);
}

// Which side alone is seen, where one is.
function seen() {
  return viewer.view === "single" ? SIDES[Number(viewer.other)] : null;
}

// The middle of what is seen.
function middle() {
  const { left, top, width, height } = viewer.place;
  return { x: share((viewer.room.width / 2 - left) / width), y: share((viewer.room.height / 2 - top) / height) };
}

// -- drawing ------------------------------------------------------------------------------------------------------

function draw() {
  if (!button()) return;
  for (const one of desk().querySelectorAll(".mark, .aim")) one.remove();
  const marked = aim?.corner ? between(aim) : region();
  if (marked) place("mark", marked);
  if (aim && !aim.dragged) place("aim", { ...aim, width: 0, height: 0 });
  document.body.toggleAttribute("data-marking", aim !== null);
  button().setAttribute("aria-pressed", String(aim !== null || marked !== null));
}

function place(name, { side, x, y, width, height }) {
  const { left, top, width: across, height: down } = viewer.place;
  const element = document.createElement("div");
  element.className = width || height ? name : `${name} point`;
  Object.assign(element.style, {
    translate: `${left + x * across}px ${top + y * down}px`,
    width: `${width * across}px`,
    height: `${height * down}px`,
  });
  desk().querySelectorAll(".pane")[SIDES.indexOf(side)].append(element);
}

// -- keys ---------------------------------------------------------------------------------------------------------

// Whether the key was one for marking; while she marks, no key answers.
export function markingKey(event) {
  if (!button()) return false;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!aim) {
    if (key !== "m" || event.repeat || desk().dataset.revealed === undefined) return false;
    toggle();
    return true;
  }
  if (ARROWS[key]) move(...ARROWS[key], event.shiftKey ? FINE : STEP);
  else if (key === "Enter") set();
  else if (key === "m") change();
  else if (key === "Escape") stop();
  else if (key === "Backspace" || key === "Delete") remove();
  else return !["Tab", "+", "-", "=", "0", "z", "?"].includes(key);
  return true;
}

function toggle() {
  if (aim) stop();
  else if (region()) remove();
  else begin();
}

function move(across, down, step) {
  const { width, height } = viewer.place;
  aim.x = share(aim.x + (across * step) / width);
  aim.y = share(aim.y + (down * step) / height);
  follow();
  draw();
}

// Zoomed in, the pictures move so that the cross stays in sight.
function follow() {
  const { left, top, width, height } = viewer.place;
  const [x, y] = [left + aim.x * width, top + aim.y * height];
  const beyond = (at, room) => (at < 0 ? -at : Math.min(0, room - at));
  const [across, down] = [beyond(x, viewer.room.width), beyond(y, viewer.room.height)];
  if (across || down) viewer.move(across, down);
}

function set() {
  if (aim.corner) keep();
  else aim.corner = { x: aim.x, y: aim.y };
  draw();
}

function change() {
  if (seen()) viewer.flip();
  aim = { ...aim, side: SIDES[1 - SIDES.indexOf(aim.side)], corner: null };
  tellSide("on");
  draw();
}

// -- mouse and fingers --------------------------------------------------------------------------------------------

// Where on which side, in shares of it.
function spot(event, pane = event.target.closest?.(".pane")) {
  if (!pane) return null;
  const panes = [...desk().querySelectorAll(".pane")];
  const box = pane.getBoundingClientRect();
  const { left, top, width, height } = viewer.place;
  return {
    pane,
    side: seen() ?? SIDES[panes.indexOf(pane)],
    x: share((event.clientX - box.left - left) / width),
    y: share((event.clientY - box.top - top) / height),
  };
}

document.addEventListener("pointerdown", (event) => {
  if (event.button || !button() || !viewer.place || !(aim || event.shiftKey)) return;
  const at = spot(event);
  if (!at || document.body.classList.contains("covered")) return;
  if (!aim) begin();
  event.stopPropagation(); // dragging would move the pictures
  event.preventDefault();
  at.pane.setPointerCapture?.(event.pointerId);
  aim = { ...spot(event), corner: { x: at.x, y: at.y }, dragged: event.pointerId };
  draw();
}, true);

document.addEventListener("pointermove", (event) => {
  if (!aim || aim.dragged !== event.pointerId) return;
  event.stopPropagation();
  aim = { ...aim, ...spot(event, aim.pane), side: aim.side };
  draw();
}, true);

document.addEventListener("pointerup", (event) => {
  if (!aim || aim.dragged !== event.pointerId) return;
  event.stopPropagation();
  keep();
}, true);

document.addEventListener("pointercancel", (event) => { if (aim?.dragged === event.pointerId) end(); });

// Two quick clicks that mark do not zoom.
document.addEventListener("dblclick", (event) => {
  if (performance.now() - markedAt < 500) event.stopPropagation();
}, true);

document.addEventListener("click", ({ target }) => { if (target.closest?.("[data-mark]")) toggle(); });
document.addEventListener("looked", draw);
document.addEventListener("revealed", () => { aim = null; draw(); });
