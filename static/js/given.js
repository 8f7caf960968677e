// What the prompt gives, beside its outputs: the source and the reference, seen in place of both sides while a key is
// held or in a pane of their own, and the mask as an outline over both sides. All of it lies upon the sides point for
// point and moves with them. A layer is made when it is first asked for.

import { layerOf } from "./layers.js";
import { say } from "./sending.js";

const KEYS = { i: "source", r: "reference" };
const SVG = "http://www.w3.org/2000/svg";

export class Given {
  constructor(viewer) {
    this.viewer = viewer;
    this.beside = null; // which one has a pane of its own: stays from pair to pair,
    this.outlined = false; // as this does
    this.forget();
  }

  forget() {
    this.instead = null;
    this.made = new Map(); // by name, the layers that are in the panes
    this.pane = null;
  }

  // A new pair is before her, or one again that was before.
  take() {
    this.forget();
    const { pair } = this.viewer;
    for (const left of pair.querySelectorAll(".given, .outline, .context")) left.remove();
    for (const name of ["data-instead", "data-outlined"]) pair.removeAttribute(name);
    if (this.has(this.beside)) this.show(this.beside);
    if (this.outlined) this.outline(true);
    this.tell();
  }

  place(name) {
    return name && this.viewer.pair?.closest("#desk").querySelector(`.attachments [data-given="${name}"]`);
  }

  has(name) {
    return Boolean(this.place(name));
  }

  // In place of both sides; null: the sides again.
  async hold(name) {
    if (this.instead === name || (name && (!this.has(name) || this.viewer.view === "difference"))) return;
    this.instead = name;
    const { pair } = this.viewer;
    if (name) await this.ready(name, () => this.viewer.panes.map((pane) => this.add(name, pane)));
    if (this.instead !== name || pair !== this.viewer.pair) return; // let go meanwhile
    if (name) pair.dataset.instead = name;
    else delete pair.dataset.instead;
    this.tell();
  }

  // In a pane of its own, between the sides; again: no longer.
  toggle(name) {
    if (!this.has(name)) return;
    const open = this.beside !== name;
    if (this.pane) this.close();
    this.beside = open ? name : null;
    if (open) this.show(name);
    this.tell();
    this.viewer.draw();
  }

  show(name) {
    this.pane = document.createElement("figure");
    this.pane.className = "context";
    const caption = document.createElement("figcaption");
    caption.textContent = this.place(name).dataset.name;
    this.viewer.pair.append(this.pane);
    const layer = this.add(name, this.pane);
    this.pane.append(caption);
    this.pane.layer = layer;
    layer.ready().catch(() => this.failed());
  }

  close() {
    this.viewer.drop(this.pane.layer);
    this.pane.remove();
    this.pane = null;
  }

  async outline(on = !this.outlined) {
    if (!this.has("mask")) return;
    this.outlined = on;
    const { pair, panes } = this.viewer;
    pair.toggleAttribute("data-outlined", on);
    this.tell();
    if (on) await this.ready("mask", async () => {
      const answer = await fetch(this.place("mask").dataset.address);
      if (!answer.ok) throw new Error(answer.status);
      const drawing = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
      const path = drawing.querySelector("path").getAttribute("d");
      return pair === this.viewer.pair ? panes.map((pane) => this.viewer.add(new Outline(pane, path, this.viewer.size))) : [];
    });
  }

  async ready(name, make) {
    if (!this.made.has(name)) this.made.set(name, Promise.resolve(make()).then((layers) => Promise.all(layers.map((layer) => layer.ready()))));
    const making = this.made.get(name);
    try {
      await making;
    } catch {
      this.failed();
    }
  }

  failed() {
    say(this.viewer.pair.closest("#desk").querySelector(".attachments").dataset.failed);
  }

  add(name, pane) {
    const element = this.place(name).querySelector("template").content.firstElementChild.cloneNode(true);
    element.classList.add("given");
    element.dataset.name = name;
    pane.append(element);
    return this.viewer.add(layerOf(element));
  }

  // The buttons say what is seen.
  tell() {
    for (const button of this.viewer.pair.closest("#desk").querySelectorAll(".attachments button")) {
      const { instead, beside } = button.dataset;
      const on = instead ? this.instead === instead : beside ? this.beside === beside : this.outlined;
      button.setAttribute("aria-pressed", String(on));
    }
  }

  // Whether the key was one for this, or may not answer now.
  key(event, key) {
    if (key === "k" && this.has("mask")) return event.repeat || this.outline(), true;
    const name = KEYS[key];
    if (!this.has(name)) return this.instead !== null;
    if (!event.shiftKey) this.hold(name);
    else if (!event.repeat) this.toggle(name);
    return true;
  }

  keyUp(key) {
    if (KEYS[key] && this.instead === KEYS[key]) this.hold(null);
  }
}

// The outline of a mask: two strokes, dark and light, seen on any picture; of one width at any zoom.
class Outline {
  constructor(pane, path, size) {
    this.size = size;
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("class", "outline");
    this.element.setAttribute("aria-hidden", "true");
    this.element.append(...["dark", "light"].map((name) => {
      const stroke = document.createElementNS(SVG, "path");
      stroke.setAttribute("class", name);
      stroke.setAttribute("d", path);
      return stroke;
    }));
    pane.append(this.element);
  }

  async ready() {}

  lie({ left, top, width, room }) {
    const unit = this.size.width / width; // canvas pixels to a CSS pixel
    this.element.setAttribute("viewBox", [-left, -top, room.width, room.height].map((length) => length * unit).join(" "));
    Object.assign(this.element.style, { width: `${room.width}px`, height: `${room.height}px` });
  }

  release() {}
}

export function listen(given) {
  addEventListener("keyup", ({ key }) => given.keyUp(key.toLowerCase()));
  addEventListener("blur", () => given.hold(null));
  const button = (event) => event.target.closest?.(".attachments button");
  document.addEventListener("pointerdown", (event) => {
    const { instead } = button(event)?.dataset ?? {};
    if (instead) given.hold(instead);
  });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => given.hold(null));
  document.addEventListener("click", (event) => {
    const { instead, beside, outline } = button(event)?.dataset ?? {};
    if (beside) given.toggle(beside);
    else if (outline !== undefined) given.outline();
    else if (instead && event.detail === 0) given.hold(given.instead ? null : instead); // by keyboard: on, then off
  });
}
