// The pairs after the one before her: leased, and fetched with their pictures and videos, so that the next is there at the
// key press, and several more while the server is away. A window claims what it holds, so that no other shows it.

import { locks } from "./allowed.js";
import { addresses, ask, outbox } from "./sending.js";
import { ready, tokenOf } from "./showing.js";

const ENOUGH = 8;
const FEW = 5; // and no more: time to fetch some

const claims = new Map(); // by comparison: what ends the claim
const stock = []; // { desk, fetched, done }, in order
let fetching = null;

const lockName = (comparison) => `${outbox.prefix}shown.${comparison}`;

// Whether this window has the comparison for itself. Without locks (a page over plain HTTP, or in a frame) the server sorts it out: of
// two answers the first counts.
export function claim(comparison) {
  if (claims.has(comparison) || !locks) {
    if (!claims.has(comparison)) claims.set(comparison, () => {});
    return Promise.resolve(true);
  }
  return new Promise((answer) => {
    locks.request(lockName(comparison), { ifAvailable: true }, (lock) => {
      answer(lock !== null);
      return lock && new Promise((end) => { claims.set(comparison, end); });
    });
  });
}

export function release(comparison) {
  claims.get(comparison)?.();
  claims.delete(comparison);
}

// What is in some window's hands: no other is given it.
async function held() {
  const prefix = lockName("");
  const taken = (await locks?.query())?.held ?? [];
  const others = taken.filter(({ name }) => name.startsWith(prefix)).map(({ name }) => name.slice(prefix.length));
  const unsent = outbox.all().map(({ comparison }) => comparison).filter((comparison) => outbox.answers(comparison));
  return [...new Set([...claims.keys(), ...others, ...unsent])];
}

// The next one, taken out, if its pictures are there; null otherwise.
export function take() {
  return stock[0]?.fetched ? stock.shift().desk : null;
}

// Shown already, and next again after the one that an undo has brought back.
export function putBack(desk) {
  stock.unshift({ desk, fetched: true });
}

// The next one, once its pictures are there; null when there is none.
export async function first() {
  while (stock.length && !stock[0].fetched) await stock[0].done;
  return take();
}

// Fetch more where few are left: whether any came; null where the server did not answer.
export function fill() {
  fetching ??= fetchMore().finally(() => { fetching = null; });
  return fetching;
}

async function fetchMore() {
  if (stock.length > FEW) return true;
  const tokens = await held();
  const values = [["count", ENOUGH - stock.length], ...tokens.map((token) => ["held", token])];
  const answer = await ask(addresses.ahead, { values });
  if (!answer?.ok) return null;
  const desks = desksIn(await answer.text());
  for (const desk of desks) if (await claim(tokenOf(desk))) add(desk);
  return desks.length > 0;
}

// Taken out of a page, with nothing of them loading yet.
export function desksIn(html) {
  const page = document.createElement("template");
  page.innerHTML = html;
  return [...page.content.querySelectorAll("main#desk")];
}

// From here on its pictures load.
export function adopt(desk) {
  for (const image of desk.querySelectorAll(".pane > img")) image.decoding = "sync"; // both in one frame
  document.adoptNode(desk);
  for (const side of desk.querySelectorAll("img, video[src]")) side.src = side.getAttribute("src");
}

// One after the other, so that the next one is there soonest.
function add(desk) {
  const entry = { desk, fetched: false };
  const before = stock.at(-1)?.done;
  entry.done = Promise.resolve(before).then(() => fetchSides(desk)).then(
    () => { entry.fetched = true; },
    () => {
      stock.splice(stock.indexOf(entry), 1); // it is leased again when its turn comes
      release(tokenOf(desk));
    },
  );
  stock.push(entry);
}

// A video is fetched whole: what a browser buffers by itself is not enough to go on without the server.
async function fetchSides(desk) {
  const videos = [...desk.querySelectorAll(".pane > video")];
  const addressed = videos.map((video) => video.getAttribute("src"));
  for (const video of videos) video.removeAttribute("src");
  adopt(desk);
  await Promise.all(videos.map(async (video, side) => {
    const answer = await fetch(addressed[side]);
    if (!answer.ok) throw new Error("no video");
    video.src = URL.createObjectURL(await answer.blob());
  }));
  await ready(desk);
}

// The blobs behind a desk's videos are of no more use.
export function forget(desk) {
  for (const video of desk.querySelectorAll(".pane > video")) {
    if (video.src.startsWith("blob:")) URL.revokeObjectURL(video.src);
  }
}
