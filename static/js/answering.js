// Answering a pair: keys, buttons and forms; one answer per pair, however often it is pressed. What is said besides, a
// reason, a place, a comment, comes before the answer and goes with it.

import * as clock from "./clock.js";
import { coveringKey } from "./covering.js";
import { lookingKey } from "./looking.js";
import { markingKey } from "./marking.js";
import { playingKey } from "./playing.js";
import { say } from "./sending.js";
import { desk, form } from "./showing.js";

const CHOICES = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", t: "tie", b: "both_bad" };
const WRITING = "textarea, input:not([type=radio], [type=checkbox], [type=range])";

const holds = new Set(["showing"]); // why no answer is taken: not shown yet, sent already, covered
let clicked = null; // the desk that the last click was on
const skipping = () => document.getElementById("skipping");
const rows = () => [...form().querySelectorAll("fieldset")];

export function lock(why = "showing") {
  holds.add(why);
  offer();
}

export function unlock(why = "showing") {
  if (why === "showing") holds.delete("sent");
  if (holds.delete(why)) offer();
}

function offer() {
  for (const control of form().querySelectorAll(".choices button, fieldset")) control.disabled = holds.size > 0;
  for (const button of desk().querySelectorAll(".undo button")) button.disabled = holds.has("showing");
  point();
}

// -- several questions --------------------------------------------------------------------------------------------

// The question that a key answers: the one she is in, else the first without an answer.
function current() {
  const all = rows();
  return all.find((row) => row.contains(document.activeElement)) ?? all.find((row) => !answered(row)) ?? all.at(-1);
}

const answered = (row) => row.querySelector(":checked") !== null;

function point(here = current()) {
  for (const row of rows()) row.classList.toggle("current", row === here);
}

// She goes on where an answer is missing; if none is, all are sent.
function onwards() {
  const inside = rows().some((row) => row.contains(document.activeElement));
  const open = rows().find((row) => !answered(row));
  point(open);
  if (!open) form().requestSubmit();
  else if (inside) open.querySelector("input").focus({ preventScroll: true });
}

function back() {
  const all = rows();
  const place = all.indexOf(current());
  if (place < 1) return;
  const inside = all[place].contains(document.activeElement);
  const before = all[place - 1];
  for (const radio of before.querySelectorAll(":checked")) radio.checked = false;
  point(before);
  if (inside) before.querySelector("input").focus({ preventScroll: true });
}

document.addEventListener("change", ({ target }) => { if (target.matches(".vote fieldset input")) onwards(); });
document.addEventListener("click", ({ target }) => { if (target.closest?.("[data-back]")) back(); });
document.addEventListener("focusin", () => { if (desk()) point(); });

// -- keys ---------------------------------------------------------------------------------------------------------

function answer(choice) {
  if (holds.size) return;
  const taken = (current() ?? form()).querySelector(`[value="${choice}"]`);
  if (taken) taken.click();
  else say(form().dataset.notTaken);
}

function press(key) {
  if (CHOICES[key]) answer(CHOICES[key]);
  else if (key === "u") desk().querySelector(".undo button:not([hidden])")?.click();
  else if (key === "x") skipping().togglePopover();
  else if (key === "c") form().elements.comment?.focus();
  else if (key === "Backspace") back();
  else if (/^[1-9]$/.test(key)) form().querySelectorAll("[name=reasons]")[Number(key) - 1]?.click();
  else return false;
  return true;
}

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest(".caption, dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === " " && target.matches("input:not([type=range])")) return;
  if (target.matches(WRITING)) written(event);
  else if (skipping().matches(":popover-open")) chosen(event, key);
  else if (markingKey(event) || coveringKey(event)) event.preventDefault();
  else if (document.body.classList.contains("covered") && !"ux?".includes(key)) return;
  else {
    const looked = playingKey(event) || lookingKey(event);
    if (looked === null || (!looked && (event.repeat ? !CHOICES[key] : !press(key)))) return;
    event.preventDefault();
  }
});

// A text of hers: keys are letters, until she leaves it.
function written(event) {
  const done = event.key === "Escape" || (event.key === "Enter" && !event.shiftKey);
  if (!done) return;
  event.preventDefault();
  if (skipping().contains(event.target) && event.key === "Enter") skipping().querySelector("[value=other]").click();
  else if (skipping().contains(event.target)) skipping().hidePopover();
  else desk().focus({ preventScroll: true });
}

function chosen(event, key) {
  const button = /^[1-9]$/.test(key) && skipping().querySelectorAll("button")[Number(key) - 1];
  if (button) button.click();
  else if (key === "x") skipping().hidePopover();
  else return;
  event.preventDefault();
}

// -- forms --------------------------------------------------------------------------------------------------------

// The second half of a double click belongs to the pair before, even where the next one is there already.
document.addEventListener("click", (event) => {
  if (event.detail > 1 && clicked !== desk()) event.preventDefault();
  clicked = desk();
}, true);

// Before htmx hears of it: one answer per pair, however often it is pressed. A pair that does not show can be skipped.
document.addEventListener("submit", (event) => {
  const sent = event.target;
  if (!desk().contains(sent) || sent.matches(".cover")) return;
  const refused = holds.has("sent") || (sent.matches(".vote") && holds.size) || (sent.matches(".undo") && holds.has("showing"));
  const wordless = event.submitter?.value === "other" && !sent.elements.comment.value.trim();
  if (refused || wordless) {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (wordless) sent.elements.comment.focus();
    return;
  }
  if (sent.matches(".vote")) {
    const { milliseconds, away } = clock.read();
    sent.elements.milliseconds.value = milliseconds;
    sent.elements.away.value = away;
  }
  holds.add("sent"); // and no control is disabled: a disabled button's answer would not be sent
}, true);
