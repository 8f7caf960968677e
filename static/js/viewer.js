// Looking closely. Both pictures zoom and move together, point for point, and can be laid over one another: one at a
// time in the same place, under a slider, or as their difference. Pictures are enlarged by whole screen pixels, so that
// no pixel is blurred or larger than its neighbours, or shrunk where there is no room.

import { Given } from "./given.js";
import { layerOf, sizeOf } from "./layers.js";

const STEP = 1.25;
const MOVE = 0.1; // of what is seen, by one press of a key
const MOST = 32; // screen pixels to a picture's pixel
const SWIPE = 40; // CSS pixels across before a touch means the other picture
const ROOM_TO_USE = 0.75; // of the pane; on a dense screen a picture that whole pixels leave smaller than this is scaled

export class Viewer {
  constructor(changed) {
    this.changed = changed; // told after every change of what is seen
    this.view = "side";
    this.amounts = { slider: 50, difference: 8 };
    this.pointers = new Map();
    this.other = false;
    this.resized = new ResizeObserver(() => this.draw());
    this.layers = [];
    this.given = new Given(this);
  }

  // A new pair is before her: seen whole, in the view she has chosen.
  take(pair) {
    this.resized.disconnect();
    for (const layer of this.layers) layer.release();
    this.pair = pair;
    this.panes = [...pair.querySelectorAll(".pane")];
    const sides = this.panes.map((pane) => pane.firstElementChild);
    this.size = sizeOf(sides[0]);
    this.layers = sides.map(layerOf);
    this.sides = [...this.layers];
    this.pointers.clear();
    this.other = false;
    this.given.take();
    this.whole();
    this.resized.observe(this.panes[0]);
  }

  // Once both sides can be seen.
  async ready() {
    await Promise.all(this.sides.map((side) => side.ready()));
  }

  add(layer) {
    this.layers.push(layer);
    this.draw();
    return layer;
  }

  drop(layer) {
    this.layers.splice(this.layers.indexOf(layer), 1);
    layer.release();
  }

  get room() {
    const { width, height } = this.panes[0].getBoundingClientRect();
    return { width: Math.floor(width), height: Math.floor(height) };
  }

  // Screen pixels to a picture's pixel when it is seen whole.
  get least() {
    const exact = Math.min(this.room.width / this.size.width, this.room.height / this.size.height) * devicePixelRatio;
    if (exact < 1) return exact;
    const steps = Math.floor(exact);
    return devicePixelRatio >= 2 && steps / exact < ROOM_TO_USE ? exact : steps;
  }

  // What is drawn: enlarged only by whole numbers.
  get scale() {
    return this.zoomed ? (this.wanted > 1 ? Math.round(this.wanted) : this.wanted) : this.least;
  }

  whole() {
    this.zoomed = false;
    this.centre = { x: 0.5, y: 0.5 };
    this.draw();
  }

  // One picture's pixel to one of the screen.
  actual(at) {
    this.zoomTo(1, at);
  }

  zoom(factor, at) {
    this.zoomTo((this.zoomed ? this.wanted : this.least) * factor, at);
  }

  nearer() {
    this.zoomTo(this.scale < 1 ? this.scale * STEP : Math.max(this.scale * STEP, this.scale + 1));
  }

  further() {
    this.zoomTo(this.scale <= 1 ? this.scale / STEP : Math.min(this.scale / STEP, this.scale - 1));
  }

  // `at`: the point of a pane, in CSS pixels from its corner, that stays where it is.
  zoomTo(wanted, at = { x: this.room.width / 2, y: this.room.height / 2 }) {
    const before = this.scale;
    if (wanted <= this.least && wanted !== 1) {
      this.whole();
      return;
    }
    this.wanted = Math.min(MOST, wanted);
    this.zoomed = true;
    const after = this.scale;
    const shift = (1 / before - 1 / after) * devicePixelRatio;
    this.centre.x += ((at.x - this.room.width / 2) * shift) / this.size.width;
    this.centre.y += ((at.y - this.room.height / 2) * shift) / this.size.height;
    this.draw();
  }

  // By CSS pixels.
  move(across, down) {
    if (!this.zoomed) return;
    const { width, height } = this.shown;
    this.centre.x -= across / width;
    this.centre.y -= down / height;
    this.draw();
  }

  // By a part of what is seen.
  step(across, down) {
    this.move(-across * this.room.width * MOVE, -down * this.room.height * MOVE);
  }

  get shown() {
    const scale = this.scale / devicePixelRatio;
    return { width: this.size.width * scale, height: this.size.height * scale };
  }

  draw() {
    if (!this.pair) return;
    this.pair.dataset.view = this.view; // first: the panes' sizes depend on it
    this.pair.classList.toggle("other", this.other);
    const { width, height } = this.shown;
    this.centre.x = within(this.centre.x, this.room.width / width);
    this.centre.y = within(this.centre.y, this.room.height / height);
    const left = onPixel(this.room.width / 2 - this.centre.x * width);
    const top = onPixel(this.room.height / 2 - this.centre.y * height);
    this.pair.classList.add("placed");
    const enlarged = this.scale >= 1 && Number.isInteger(this.scale);
    this.pair.classList.toggle("enlarged", enlarged);
    this.pair.classList.toggle("movable", width > this.room.width + 1 || height > this.room.height + 1);
    const { room } = this;
    for (const layer of this.layers) layer.lie({ left, top, width, height, room, enlarged });
    this.place = { left, top, width, height }; // of the whole picture in its pane, in CSS pixels
    this.pair.style.setProperty("--cut", `${this.amounts.slider}%`);
    this.pair.style.setProperty("--gain", this.amounts.difference);
    this.changed(this);
  }

  // Chosen again, a view gives way to the two side by side.
  choose(view) {
    this.view = view === this.view ? "side" : view;
    this.other = false;
    this.draw();
  }

  // Each place shows the other picture while this is on.
  flip(on = !this.other) {
    if (this.other === on || !["side", "single"].includes(this.view)) return;
    this.other = on;
    this.draw();
  }

  set amount(value) {
    this.amounts[this.view] = value;
    this.draw();
  }

  // -- wheel, mouse and fingers -----------------------------------------------------------------------------------

  wheel(event) {
    event.preventDefault();
    this.zoom(STEP ** (-event.deltaY / (event.deltaMode ? 3 : 100)), this.pointOf(event));
  }

  down(event) {
    if (event.button) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, from: event.clientX });
    event.target.setPointerCapture?.(event.pointerId);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { ...before, x: event.clientX, y: event.clientY };
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    if (others.length) {
      const [still] = others;
      const grown = distance(now, still) / Math.max(1, distance(before, still));
      this.zoom(grown, this.pointOf({ clientX: (now.x + still.x) / 2, clientY: (now.y + still.y) / 2 }));
      now.from = NaN; // two fingers do not swipe
    } else if (this.view === "slider" && !this.zoomed) this.amount = this.cutAt(event);
    else this.move(now.x - before.x, now.y - before.y);
    this.pointers.set(event.pointerId, now);
  }

  up(event) {
    const point = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    const swiped = point && Math.abs(point.x - point.from) > SWIPE;
    if (swiped && event.pointerType === "touch" && this.view === "single" && !this.zoomed) this.flip();
  }

  cutAt(event) {
    return Math.round(100 * Math.min(1, Math.max(0, this.pointOf(event).x / this.room.width)));
  }

  // Where in its pane an event happened; all panes show the same part.
  pointOf({ clientX, clientY }) {
    const boxes = [...this.pair.querySelectorAll(".pane, .context")].map((pane) => pane.getBoundingClientRect());
    const box = boxes.find((each) => clientX >= each.left && clientX < each.right && clientY >= each.top && clientY < each.bottom);
    const { left, top } = box ?? boxes[0];
    return { x: clientX - left, y: clientY - top };
  }
}

// The middle of what is seen, as a part of the picture, kept so that the picture fills the pane or is in its middle.
function within(centre, seen) {
  return seen >= 1 ? 0.5 : Math.min(1 - seen / 2, Math.max(seen / 2, centre));
}

function onPixel(length) {
  return Math.round(length * devicePixelRatio) / devicePixelRatio;
}

function distance(one, other) {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
