// Sending answers: kept in this browser until the server has them, and sent again until it does.

import { unlock } from "./answering.js";
import { Outbox } from "./outbox.js";
import { again, comparison, pair } from "./showing.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15000;

export const addresses = document.body.dataset;
export const csrf = JSON.parse(document.body.getAttribute("hx-headers"));
export const outbox = new Outbox(addresses.desk);
const notice = document.getElementById("notice");
let wait = FIRST_WAIT;

export const pause = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });

export function say(sentence) {
  if (notice.textContent !== sentence) notice.textContent = sentence;
}

// The server has answered: the next failure is a first one.
export function soon() {
  wait = FIRST_WAIT;
}

// Before the next pair is in place; nothing at all came where there is no status.
for (const name of ["htmx:beforeOnLoad", "htmx:sendError", "htmx:sendAbort", "htmx:timeout"]) {
  document.addEventListener(name, ({ detail }) => {
    const { status } = detail.xhr;
    if (detail.requestConfig.path === addresses.vote) answered(status, detail.requestConfig.parameters.comparison);
    else if (status < 200 || status > 299) missed(status);
  });
}

function answered(status, which) {
  if (status >= 200 && status < 300) {
    outbox.drop(which);
    soon();
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

export function send(answer) {
  request("POST", addresses.vote, answer);
}

export function request(verb, address, values) {
  const failed = () => {}; // the events above have said and done what there is to do
  htmx.ajax(verb, address, { source: "#desk", target: "#desk", swap: "outerHTML", values }).catch(failed);
}

export function longer() {
  const now = wait;
  wait = Math.min(wait * 2, LONGEST_WAIT);
  return now;
}

// Answers to pairs that are no longer before her: confirmed, perhaps, when nobody was listening.
export async function sendOthers() {
  for (const answer of outbox.all().filter((kept) => kept.comparison !== comparison())) {
    try {
      const headers = { ...csrf, "HX-Request": "true" };
      const { status } = await fetch(addresses.vote, { method: "POST", headers, body: new URLSearchParams(answer) });
      if (status < 300 || status === 404 || status === 422) outbox.drop(answer.comparison);
    } catch {
      return;
    }
  }
}

addEventListener("online", soon);
