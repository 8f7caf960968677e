// Sending what the rater said: answers, skips and undos go out in order, each again and again until the server has it. She
// has gone on long since; what the server says only confirms. Several windows take turns.

import { locks, session } from "./allowed.js";
import { Outbox } from "./outbox.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15000;
const PATIENCE = 30000; // for one answer of the server
const UNNOTICED = 700; // what is confirmed within so many milliseconds is not spoken of
const BETWEEN_RELOADS = 60000;

const place = document.getElementById("sending");
const words = place.dataset;
const notice = document.getElementById("notice");
const counter = document.getElementById("unsent");

export const addresses = { ...document.body.dataset, ...words };
export const csrf = { "X-CSRFToken": words.csrf, ...JSON.parse(document.body.getAttribute("hx-headers") ?? "{}") };
export const outbox = new Outbox(addresses.desk);

const revealedAt = new Map(); // by comparison; what the server has not been told of yet
const page = performance.timeOrigin + outbox.window;
let wait = FIRST_WAIT;
let going = false; // this page leaves by itself, and nothing is lost by it
let under = null; // way
let retry = 0;
const waiters = []; // for the server

export function say(sentence) {
  if (notice.textContent !== sentence) notice.textContent = sentence;
}

// One of the sentences that the page brought along.
export function tell(what) {
  say(words[what] ?? "");
}

function longer() {
  const now = wait;
  wait = Math.min(wait * 2, LONGEST_WAIT);
  return now;
}

// Before the server is asked again: longer each time, until it answers or the network is back.
export function pause() {
  return new Promise((done) => {
    waiters.push(done);
    setTimeout(done, longer());
  });
}

function wake() {
  wait = FIRST_WAIT;
  for (const done of waiters.splice(0)) done();
}

export function reload() {
  going = true;
  location.reload();
}

// Tell the server with the next request that both sides of this comparison have been revealed.
export function noteShown(comparison) {
  revealedAt.set(comparison, performance.now());
}

// The server's answer, or null where none came.
export async function ask(address, { verb = "POST", values = [], headers = {} } = {}) {
  const noted = [...revealedAt];
  const shown = noted.map(([comparison, at]) => ["shown", `${comparison}:${Math.round(performance.now() - at)}`]);
  const body = verb === "POST" ? new URLSearchParams([...values, ...shown]) : undefined;
  try {
    const sent = { method: verb, body, headers: { ...csrf, "HX-Request": "true", ...headers }, redirect: "error" };
    const answer = await fetch(address, { ...sent, signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status >= 500) return null;
    if (answer.ok) {
      wake();
      if (body) for (const [comparison] of noted) revealedAt.delete(comparison);
    }
    return answer;
  } catch {
    return null;
  }
}

// -- the queue ----------------------------------------------------------------------------------------------------

// `entry`: where it goes, the form's values, the comparison it is about, and whether it takes an answer back.
export function queue(entry) {
  outbox.put({ ...entry, at: Date.now(), page, since: performance.now() });
  setTimeout(count, UNNOTICED);
}

export function send() {
  under ??= alone(drain);
  return under;
}

// Later than now either way: `under` has to be set before the work can be over.
function alone(work) {
  return locks ? locks.request(`${outbox.prefix}sending`, work) : Promise.resolve().then(work);
}

async function drain() {
  clearTimeout(retry);
  for (;;) {
    const [entry] = outbox.all();
    if (!entry) break;
    const answer = await ask(entry.address, { values: [...entry.values, ["waited", waited(entry)]], headers: { "X-Queued": "1" } });
    if (!(await settled(entry, answer))) {
      retry = setTimeout(send, longer());
      break;
    }
  }
  under = null; // at once: what is queued from now on has to be sent anew
  count();
  document.dispatchEvent(new Event("sent"));
}

// How long ago she said it, by a clock that nobody sets where it still runs.
function waited(entry) {
  const now = entry.page === page ? performance.now() - entry.since : Date.now() - entry.at;
  return Math.max(0, Math.round(now));
}

// Whether the server is done with it, one way or the other.
async function settled(entry, answer) {
  if (answer === null) {
    tell(outbox.kept ? "away" : "awayUnkept");
    return false;
  }
  if (answer.ok || answer.status === 410 || answer.status === 422) {
    outbox.drop(entry.name);
    if ([words.away, words.awayUnkept].includes(notice.textContent)) say("");
    if (!answer.ok) say((await answer.text()) || words.late);
    return true;
  }
  if (answer.status === 401 || answer.status === 403) tell("signedOut");
  if (addresses.rate && outbox.kept) lookAnew();
  return false;
}

// The study is paused or closed, or she is signed out or removed: the page says so, and what she said stays here.
function lookAnew() {
  const name = `${outbox.prefix}looked`;
  const last = Number(session.getItem(name));
  if (Math.abs(Date.now() - last) < BETWEEN_RELOADS) return;
  session.setItem(name, Date.now());
  reload();
}

function count() {
  const number = outbox.all().length;
  const form = new Intl.PluralRules(document.documentElement.lang || "en").select(number);
  const sentence = number ? (words[form] ?? words.other).replace("{number}", number) : "";
  if (counter.textContent !== sentence) counter.textContent = sentence;
}

addEventListener("beforeunload", (event) => { if (!going && outbox.all().length) event.preventDefault(); });
addEventListener("online", () => { wake(); send(); });
addEventListener("storage", () => setTimeout(count, UNNOTICED)); // another window's
