// The rater's desk: both pictures appear in one frame, then one key or click answers and the next pair takes their place
// at once; the answer is sent behind her back. Without JavaScript the same forms work where the study allows it.

import "./sitting.js";
import { adopt, claim, desksIn, fill, first, forget, putBack, release, take } from "./ahead.js";
import { lock } from "./answering.js";
import { addresses, ask, outbox, pause, queue, reload, say, send, tell } from "./sending.js";
import { desk, hide, ready, show, tokenOf } from "./showing.js";

const REMEMBERED = 10; // pairs that an undo brings back without the server
const A_MOMENT = 300;

const past = []; // { here, revision, skipped }, the newest last
let waiting = false;

// -- the next pair ------------------------------------------------------------------------------------------------

function goOn() {
  const next = take();
  if (next) put(next);
  else waitForNext();
}

async function put(next) {
  say("");
  pointUndo(next);
  requestAnimationFrame(() => setTimeout(fill)); // not before she sees it
  if (await show(next)) return;
  tell("pictures");
  release(tokenOf(next));
  waitForNext();
}

// Nothing is there yet: the pictures are on their way, or the server is away, or she has done all there is for her.
async function waitForNext() {
  if (waiting) return;
  waiting = true;
  const slow = setTimeout(() => tell("next"), A_MOMENT);
  for (;;) {
    const more = await fill();
    const next = (await first()) ?? (more === false ? await asked() : null);
    if (next) {
      waiting = false;
      clearTimeout(slow);
      put(next);
      return;
    }
    await pause();
  }
}

// The desk that the server shows her now. Where that is another page, the browser goes there.
async function asked() {
  await send();
  if (outbox.all().length) return null;
  const answer = await ask(addresses.rate, { verb: "GET" });
  if (!answer?.ok) {
    if (answer) reload();
    return null;
  }
  const [next] = desksIn(await answer.text());
  if (!next) reload();
  else if (!(await claim(tokenOf(next)))) tell("elsewhere");
  else {
    adopt(next);
    return fetched(next);
  }
  return null;
}

async function fetched(here) {
  try {
    await ready(here);
    return here;
  } catch {
    release(tokenOf(here));
    tell("pictures");
    return null;
  }
}

// -- what she says ------------------------------------------------------------------------------------------------

function give(form, submitter) {
  const here = desk();
  const values = [...new FormData(form, submitter)].filter(([name]) => name !== "csrfmiddlewaretoken");
  queue({ address: form.getAttribute("action"), values, comparison: tokenOf(here) });
  past.push({ here, revision: Number(form.elements.revision.value), skipped: form.matches(".skipping") });
  for (const { here: old } of past.splice(0, past.length - REMEMBERED)) forget(old);
  release(tokenOf(here));
  goOn();
  requestAnimationFrame(send); // after the next pair, so that the server hears of that, too
  setTimeout(send, A_MOMENT);
}

function takeBack(form) {
  const { comparison, revision } = form.elements;
  queue({
    address: form.getAttribute("action"),
    values: [["comparison", comparison.value], ["revision", revision.value]],
    comparison: comparison.value,
    undo: true,
  });
  const [last, now] = [past.pop(), desk()];
  hide(now);
  if (last) {
    claim(tokenOf(last.here));
    putBack(now);
    openAgain(last);
    show(last.here);
    send();
  } else bringBack(comparison.value);
}

// Of an answer before this page was loaded the server has the pair.
async function bringBack(comparison) {
  const now = desk();
  lock();
  do {
    await send();
    if (outbox.all().length) await pause();
  } while (outbox.all().length);
  const next = await asked();
  if (next && tokenOf(next) === comparison) {
    putBack(now);
    put(next);
  } else show(now);
}

function openAgain({ here, revision, skipped }) {
  hide(here);
  const number = skipped ? revision : revision + 2; // the undo has one, too
  for (const form of here.querySelectorAll(".vote, .skipping")) form.elements.revision.value = number;
  for (const chosen of here.querySelectorAll(".vote fieldset :checked")) chosen.checked = false;
}

// What an undo on this desk takes back.
function pointUndo(here) {
  const last = past.at(-1);
  if (!last || here.dataset.lesson !== undefined) return;
  const form = here.querySelector(".undo");
  form.elements.comparison.value = tokenOf(last.here);
  form.elements.revision.value = last.skipped ? last.revision : last.revision + 1;
  for (const button of form.querySelectorAll("button")) button.hidden = false;
}

// After answering.js has let it pass.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!desk().contains(form) || !form.matches(".vote, .skipping, .undo")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (form.matches(".undo")) takeBack(form);
  else give(form, event.submitter);
}, true);

// The server is there: as good a time as any to fetch more.
document.addEventListener("sent", () => { if (!outbox.all().length) fill(); });

// -- the first pair -----------------------------------------------------------------------------------------------

async function begin() {
  const here = desk();
  send();
  const free = !outbox.answers(tokenOf(here)) && (await claim(tokenOf(here)));
  if (free && (await fetched(here))) put(here);
  else waitForNext();
}

begin();
