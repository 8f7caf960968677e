// Studies that may upset: both sides stay blurred alike until she says that she wants to see them, and whenever she
// blurs them again. Nothing is answered about what is blurred.

import { lock, unlock } from "./answering.js";
import * as clock from "./clock.js";
import { player } from "./playing.js";
import { csrf, say } from "./sending.js";

const { classList } = document.body;
let agreed = !classList.contains("covered");
let played = false; // when she covered them

function cover(on) {
  classList.toggle("covered", on);
  if (on) {
    lock("covered");
    clock.stop("covered");
    played = player.playing;
    if (played) player.pause();
  } else {
    if (played) player.play();
    clock.go("covered");
    unlock("covered");
  }
}

async function agree() {
  if (document.body.dataset.desk === "preview") return cover(!(agreed = true)); // nobody who previews is a rater
  const form = document.querySelector(".cover");
  try {
    const answer = await fetch(form.action, { method: "POST", headers: { ...csrf, "HX-Request": "true" } });
    agreed = answer.ok;
  } catch {
    agreed = false;
  }
  if (agreed) cover(false);
  else say(form.dataset.failed);
}

function turn() {
  if (!classList.contains("covered")) cover(true);
  else if (agreed) cover(false);
  else agree();
}

// Whether the key was one for blurring.
export function coveringKey(event) {
  if (event.key.toLowerCase() !== "h" || !document.querySelector(".cover")) return false;
  if (!event.repeat) turn();
  return true;
}

document.addEventListener("click", ({ target }) => { if (target.closest?.("[data-cover]")) turn(); });
document.addEventListener("submit", (event) => {
  if (!event.target.matches(".cover")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  turn();
}, true);
document.addEventListener("revealed", () => { if (classList.contains("covered")) cover(true); });
