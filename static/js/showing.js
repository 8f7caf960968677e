// Showing a pair: both sides appear in one frame, once both are decoded; meanwhile the next pair's are fetched.

import { lock, unlock } from "./answering.js";
import { viewer } from "./looking.js";
import { Player } from "./player.js";
import { playPair, player } from "./playing.js";
import { addresses, csrf, longer, outbox, pause, request, say, send, soon } from "./sending.js";

export let shownAt = 0;
let following = []; // the next pair's pictures, held so that the browser keeps them decoded

export const desk = () => document.getElementById("desk");
export const pair = () => desk().querySelector(".pair");
export const form = () => desk().querySelector("form.vote");
export const comparison = () => form().elements.comparison.value;

export async function show() {
  lock();
  player.release();
  const here = pair();
  const kept = outbox.get(comparison());
  if (kept) {
    say("Sending the answer that was kept in this browser.");
    send(kept);
    return;
  }
  const videos = [...here.querySelectorAll(".pane > video")];
  viewer.take(here); // first: of a large picture only what is seen is fetched
  try {
    await viewer.ready();
    await Player.ready(videos);
  } catch {
    if (here.isConnected) await again();
    return;
  }
  if (!here.isConnected) return;
  soon();
  say("");
  requestAnimationFrame((now) => {
    here.classList.add("revealed");
    desk().dataset.revealed = "";
    shownAt = now;
    if (videos.length) playPair(videos, here.dataset.watch === undefined ? () => {} : unlock);
    if (here.dataset.watch === undefined) unlock();
    here.dispatchEvent(new Event("revealed", { bubbles: true }));
    lookAhead();
  });
}

// A picture did not arrive: the server is away, or the page is older than its tokens. Ask for the same pair anew.
export async function again() {
  say("The pictures did not load; trying again.");
  await pause(longer());
  request("GET", addresses.rate);
}

// Tell the server that the pair is shown, and fetch the pictures of the next one.
async function lookAhead() {
  try {
    const body = new URLSearchParams({ comparison: comparison() });
    const answer = await fetch(addresses.ahead, { method: "POST", headers: csrf, body });
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
