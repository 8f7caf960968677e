// The rater's desk: both pictures appear in one frame, then one key or click answers and the next pair takes their place.
// Without JavaScript the same forms work where the study allows it.

import { lookingKey, viewer } from "./looking.js";
import { Outbox } from "./outbox.js";
import { Player } from "./player.js";
import { playPair, player, playingKey } from "./playing.js";

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", t: "tie", b: "both_bad", u: "undo" };
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15000;
const DOUBLE_CLICK = 400; // nobody has looked at a pair in this many milliseconds

const { desk: name, rate, vote, ahead } = document.body.dataset;
const csrf = JSON.parse(document.body.getAttribute("hx-headers"));
const outbox = new Outbox(name);
const notice = document.getElementById("notice");

let locked = true; // no answer is taken before both pictures are shown, nor twice
let shownAt = 0;
let following = []; // the next pair's pictures, held so that the browser keeps them decoded
let wait = FIRST_WAIT;

const desk = () => document.getElementById("desk");
const pair = () => desk().querySelector(".pair");
const form = () => desk().querySelector("form.vote");
const comparison = () => form().elements.comparison.value;
const pause = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });

function say(sentence) {
  if (notice.textContent !== sentence) notice.textContent = sentence;
}

// -- showing ------------------------------------------------------------------------------------------------------

async function show() {
  lock();
  player.release();
  const here = pair();
  const kept = outbox.get(comparison());
  if (kept) {
    say("Sending the answer that was kept in this browser.");
    send(kept);
    return;
  }
  const sides = [...here.querySelectorAll(".pane > *")];
  const videos = sides.filter((side) => side.matches("video"));
  try {
    await Promise.all(sides.filter((side) => !side.matches("video")).map((image) => image.decode()));
    await Player.ready(videos);
  } catch {
    if (here.isConnected) await again();
    return;
  }
  if (!here.isConnected) return;
  wait = FIRST_WAIT;
  say("");
  viewer.take(here);
  requestAnimationFrame((now) => {
    here.classList.add("revealed");
    desk().dataset.revealed = "";
    shownAt = now;
    if (videos.length) playPair(videos, here.dataset.watch === undefined ? () => {} : unlock);
    if (here.dataset.watch === undefined) unlock();
    lookAhead();
  });
}

// A picture did not arrive: the server is away, or the page is older than its tokens. Ask for the same pair anew.
async function again() {
  say("The pictures did not load; trying again.");
  await pause(longer());
  request("GET", rate);
}

// Tell the server that the pair is shown, and fetch the pictures of the next one.
async function lookAhead() {
  try {
    const body = new URLSearchParams({ comparison: comparison() });
    const answer = await fetch(ahead, { method: "POST", headers: csrf, body });
    if (!answer.ok) return;
    const { pictures, videos } = await answer.json();
    following = [
      ...pictures.map((address) => Object.assign(new Image(), { src: address })),
      ...videos.map((address) => Object.assign(document.createElement("video"), { preload: "auto", muted: true, src: address })),
    ];
    await Promise.all(following.filter((side) => side instanceof HTMLImageElement).map((image) => image.decode()));
  } catch {
    following = []; // the next pair is then simply fetched when its turn comes
  }
}

// -- answering ----------------------------------------------------------------------------------------------------

function lock() {
  locked = true;
}

function unlock() {
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
  if (detail.path !== vote || detail.parameters.milliseconds) return;
  detail.parameters.milliseconds = Math.round(performance.now() - shownAt);
  const { csrfmiddlewaretoken, ...answer } = Object.fromEntries(detail.formData);
  outbox.put(answer);
});

// Before the next pair is in place; nothing at all came where there is no status.
for (const name of ["htmx:beforeOnLoad", "htmx:sendError", "htmx:sendAbort", "htmx:timeout"]) {
  document.addEventListener(name, ({ detail }) => {
    const { status } = detail.xhr;
    if (detail.requestConfig.path === vote) answered(status, detail.requestConfig.parameters.comparison);
    else if (status < 200 || status > 299) missed(status);
  });
}

function answered(status, which) {
  if (status >= 200 && status < 300) {
    outbox.drop(which);
    wait = FIRST_WAIT;
  } else if (status === 404 || status === 422) {
    outbox.drop(which); // the pair is no longer hers to answer, or the server said in the page what is wrong
    if (status === 404) again();
  } else if (status === 401 || status === 403) {
    say("You are signed out. Sign in again; your answer is kept in this browser and will be sent.");
    pause(longer()).then(() => location.reload());
  } else if (status === 409) {
    location.reload(); // paused or closed: the page says so, and the answer is kept for when it opens again
  } else {
    say("The server does not answer. Your answer is kept in this browser and will be sent.");
    pause(longer()).then(() => { const kept = outbox.get(which); if (kept) send(kept); });
  }
}

// An undo, or a pair that was asked for anew, did not come.
function missed(status) {
  if (status === 401 || status === 403 || status === 409) location.reload();
  else if (pair().matches(".revealed")) {
    say("The server does not answer; nothing was changed.");
    unlock();
  } else again();
}

function send(answer) {
  request("POST", vote, answer);
}

function request(verb, address, values) {
  const failed = () => {}; // the events above have said and done what there is to do
  htmx.ajax(verb, address, { source: "#desk", target: "#desk", swap: "outerHTML", values }).catch(failed);
}

function longer() {
  const now = wait;
  wait = Math.min(wait * 2, LONGEST_WAIT);
  return now;
}

// Answers to pairs that are no longer before her: confirmed, perhaps, when nobody was listening.
async function sendOthers() {
  for (const answer of outbox.all().filter((kept) => kept.comparison !== comparison())) {
    try {
      const headers = { ...csrf, "HX-Request": "true" };
      const { status } = await fetch(vote, { method: "POST", headers, body: new URLSearchParams(answer) });
      if (status < 300 || status === 404 || status === 422) outbox.drop(answer.comparison);
    } catch {
      return;
    }
  }
}

document.addEventListener("htmx:afterSwap", () => desk().focus({ preventScroll: true }));
// Only once htmx has taken the forms over: an answer before that would be sent as one without JavaScript.
document.addEventListener("htmx:load", ({ target }) => {
  if (target === document.body || target === desk()) show();
});
addEventListener("online", () => { wait = FIRST_WAIT; });

sendOthers();
