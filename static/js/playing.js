// How the rater works the player: keys, and the bar under the videos.

import { Player } from "./player.js";

const KEYS = {
  " ": () => player.toggle(),
  ",": () => player.step(-1),
  ".": () => player.step(1),
  "[": () => player.faster(-1),
  "]": () => player.faster(1),
  Home: () => player.step(-Infinity),
  End: () => player.step(Infinity),
  l: () => player.loop(),
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
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!player.videos.length || !KEYS[key]) return false;
  if (key === " " && event.target.matches("button, summary")) return false;
  KEYS[key]();
  return true;
}

const bar = () => document.querySelector(".playing");

// The sentences are the page's, in the rater's language.
function tell({ place, frames, rate, playing, speed, loops, watched }) {
  const here = bar();
  if (!here) return;
  const [play, loop] = [here.querySelector("[data-play]"), here.querySelector("[data-loop]")];
  play.dataset.play = playing ? "pause" : "play";
  play.setAttribute("aria-label", playing ? play.dataset.pauseText : play.dataset.playText);
  loop.setAttribute("aria-pressed", String(loops));
  const slider = here.querySelector("input");
  const said = { frame: place + 1, frames, seconds: (place / rate).toFixed(2), speed };
  slider.value = place;
  slider.setAttribute("aria-valuetext", filled(slider.dataset.text, said));
  const output = here.querySelector("output");
  output.value = filled(output.dataset.text, said);
  if (watched) unlock();
}

const filled = (text, values) => text.replace(/{(\w+)}/g, (_all, name) => values[name]);

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.(".playing button");
  if (!button) return;
  if (button.dataset.play) player.toggle();
  else if (button.dataset.loop !== undefined) player.loop();
  else if (button.dataset.step) player.step(Number(button.dataset.step));
  else player.faster(Number(button.dataset.faster));
});
document.addEventListener("input", ({ target }) => {
  if (!target.matches(".playing input")) return;
  if (player.playing) player.pause();
  player.seek(Number(target.value));
});
// Only who went to the slider by keyboard moves it with the arrows; else they answer.
document.addEventListener("pointerup", ({ target }) => { if (target.matches?.(".playing input")) target.blur(); });
