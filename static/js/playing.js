// How the rater works the player: keys, and the bar under the videos.

import { Player } from "./player.js";

const KEYS = {
  " ": () => player.toggle(),
  ",": () => player.step(-1),
  ".": () => player.step(1),
  "[": () => player.faster(-1),
  "]": () => player.faster(1),
  Home: () => player.seek(0),
};

let unlock = () => {};
export const player = new Player(tell);

// A new pair is before her; `unlocked` is called once both videos were watched.
export function playPair(videos, unlocked) {
  unlock = unlocked;
  player.take(videos);
  bar().querySelector("input").max = player.frames - 1;
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) player.play();
}

export function playingKey(event) {
  if (!player.videos.length || !KEYS[event.key]) return false;
  if (event.key === " " && event.target.matches("button, summary")) return false;
  KEYS[event.key]();
  return true;
}

const bar = () => document.querySelector(".playing");

function tell({ place, frames, rate, playing, speed, watched }) {
  const here = bar();
  if (!here) return;
  const button = here.querySelector("[data-play]");
  button.dataset.play = playing ? "pause" : "play";
  button.setAttribute("aria-label", playing ? "Pause" : "Play");
  const slider = here.querySelector("input");
  slider.value = place;
  slider.setAttribute("aria-valuetext", `frame ${place + 1} of ${frames}`);
  here.querySelector("output").value = `${(place / rate).toFixed(2)} s · ${speed}×`;
  if (watched) unlock();
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.(".playing button");
  if (!button) return;
  if (button.dataset.play) player.toggle();
  else if (button.dataset.step) player.step(Number(button.dataset.step));
  else player.faster(Number(button.dataset.faster));
});
document.addEventListener("input", ({ target }) => {
  if (!target.matches(".playing input")) return;
  if (player.playing) player.pause();
  player.seek(Number(target.value));
});
