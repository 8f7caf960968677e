// Answering a pair: keys, buttons and forms; one answer per pair, however often it is pressed.

import { lookingKey } from "./looking.js";
import { playingKey } from "./playing.js";
import { addresses, outbox } from "./sending.js";
import { desk, form, shownAt } from "./showing.js";

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", t: "tie", b: "both_bad", u: "undo" };
const DOUBLE_CLICK = 400; // nobody has looked at a pair in this many milliseconds

let locked = true; // no answer is taken before both pictures are shown, nor twice

export function lock() {
  locked = true;
}

export function unlock() {
  if (!locked) return;
  locked = false;
  for (const control of desk().querySelectorAll("form :disabled")) control.disabled = false;
  form().querySelector("fieldset")?.classList.add("current");
}

function press(answer) {
  if (answer === "undo") {
    desk().querySelector(".undo button:not([hidden])")?.click();
    return;
  }
  const button = form().querySelector(`button[value="${answer}"]`);
  if (button) {
    button.click();
    return;
  }
  const open = [...form().querySelectorAll("fieldset")].find((row) => !row.querySelector(":checked"));
  open?.querySelector(`input[value="${answer}"]`)?.click();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(".caption")) return;
  const looked = playingKey(event) || lookingKey(event);
  const answer = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (looked === null || (!looked && !answer)) return;
  event.preventDefault();
  if (looked) return;
  if (!locked && !event.repeat) press(answer);
});

document.addEventListener("change", () => {
  if (!form().matches(".many")) return;
  const open = [...form().querySelectorAll("fieldset")].filter((row) => !row.querySelector(":checked"));
  for (const row of form().querySelectorAll("fieldset")) row.classList.toggle("current", row === open[0]);
  if (open.length === 0) form().requestSubmit();
});

// The second half of a double click belongs to the pair before, even where the next one has just appeared.
document.addEventListener("click", (event) => {
  if (event.detail > 1 && performance.now() - shownAt < DOUBLE_CLICK) event.preventDefault();
}, true);

// Before htmx hears of it: one answer per pair, however often it is pressed.
document.addEventListener("submit", (event) => {
  if (locked) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
  lock();
}, true);

document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.path !== addresses.vote || detail.parameters.milliseconds) return;
  detail.parameters.milliseconds = Math.round(performance.now() - shownAt);
  const { csrfmiddlewaretoken, ...answer } = Object.fromEntries(detail.formData);
  outbox.put(answer);
});
