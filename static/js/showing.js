// Showing a pair: both sides appear in one frame, once both are decoded.

import { lock, unlock } from "./answering.js";
import { fetchAhead } from "./layers.js";
import { viewer } from "./looking.js";
import { Player } from "./player.js";
import { playPair, player } from "./playing.js";
import { noteShown } from "./sending.js";

const SOONEST = 150; // milliseconds; a key pressed before that was meant for the pair before

export const desk = () => document.getElementById("desk");
export const pair = () => desk().querySelector(".pair");
export const form = () => desk().querySelector("form.vote");
export const tokenOf = (here) => here.dataset.comparison;
export const comparison = () => tokenOf(desk());

// Everything of the sides, and of what the prompt gives, is here and decoded; rejected where some of it did not come.
export async function ready(here) {
  const videos = [...here.querySelectorAll(".pane > video")];
  await Promise.all([...here.querySelectorAll(".pane > :first-child, .attachment > img")].map(fetchAhead));
  await Player.ready(videos);
}

// Put a desk in the place of the one before her, and reveal it in the next frame: all of it is here. Of pictures in tiles
// only what is seen at this size, once it is drawn; whether it could be.
export async function show(next) {
  lock();
  player.release();
  if (next !== desk()) {
    desk().replaceWith(next);
    next.focus({ preventScroll: true });
  }
  const here = next.querySelector(".pair");
  const videos = [...here.querySelectorAll(".pane > video")];
  viewer.take(here);
  try {
    if (here.querySelector(".tiles")) await viewer.ready();
  } catch {
    return false;
  }
  requestAnimationFrame(() => {
    if (!here.isConnected) return;
    here.classList.add("revealed");
    next.dataset.revealed = "";
    noteShown(tokenOf(next));
    if (videos.length) playPair(videos, here.dataset.watch === undefined ? () => {} : unlock);
    if (here.dataset.watch === undefined) unlock();
    here.dispatchEvent(new Event("revealed", { bubbles: true }));
    setTimeout(() => { next.dataset.open = ""; }, SOONEST);
  });
  return true;
}

// As it was before it was shown.
export function hide(here) {
  here.querySelector(".pair").classList.remove("revealed");
  delete here.dataset.revealed;
  delete here.dataset.open;
}

// One key meant for one pair answers no other, however fast the next one is there.
addEventListener("keydown", (event) => {
  if (desk()?.dataset.revealed === undefined || desk().dataset.open !== undefined) return;
  event.stopImmediatePropagation();
  event.preventDefault();
}, true);
