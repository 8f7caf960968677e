// One sitting of hers: how much of her share is left and about how long that takes at her own pace, and when it is time
// for a break. Kept for as long as the browser's tab is, so that a reload changes nothing.

import { session } from "./allowed.js";
import * as clock from "./clock.js";
import { addresses } from "./sending.js";
import { desk } from "./showing.js";

const MINUTE = 60_000;
const PAUSE = 5 * MINUTE; // after so long without a pair a sitting begins anew
const LONGEST = 2 * MINUTE; // from pair to pair; what takes longer says nothing of her pace
const PACES = 20; // the last so many count
const LEAST = 3; // and so many are needed to tell

const name = `evalhub.sitting.${addresses.desk}`;
const rest = document.getElementById("rest");

function read() {
  return JSON.parse(session.getItem(name)) ?? { since: 0, last: 0, paces: [] };
}

function write(sitting) {
  session.setItem(name, JSON.stringify(sitting));
}

let done = null; // how many she has answered; what a desk that was fetched ahead says of it is a guess
const given = []; // what she did since this page was loaded: 1 for an answer, 0 for a skip

// After answering.js has let it pass.
document.addEventListener("submit", ({ target }) => {
  if (target.matches(".undo")) {
    const last = given.pop();
    done = last === undefined ? null : done - last;
  } else if (target.matches(".vote, .skipping")) {
    const answers = Number(target.matches(".vote"));
    given.push(answers);
    done += answers;
  }
}, true);

function count() {
  const { dataset, children: [words] } = desk().querySelector(".progress");
  if (!words.dataset.text) return; // a lesson counts itself
  done ??= Number(dataset.done);
  dataset.done = done;
  words.textContent = words.dataset.text.replace("{done}", done).replace("{all}", dataset.share);
}

document.addEventListener("revealed", () => {
  clock.start();
  count();
  const [now, { since, last, paces }] = [Date.now(), read()];
  const fresh = now - last > PAUSE;
  if (!fresh && now - last < LONGEST) paces.push(now - last);
  write({ since: fresh ? now : since, last: now, paces: paces.slice(-PACES) });
  estimate();
  if (rest && now - read().since >= Number(rest.dataset.after) * MINUTE) takeBreak();
});

// How long what is left will take: the median of her last paces for each.
function estimate() {
  const progress = desk().querySelector(".progress");
  const { done, share } = progress.dataset;
  const paces = read().paces.toSorted((one, other) => one - other);
  if (!share || paces.length < LEAST || Number(done) >= Number(share)) return;
  const minutes = Math.ceil(((Number(share) - Number(done)) * paces[Math.floor(paces.length / 2)]) / MINUTE);
  const left = progress.querySelector(".left");
  left.textContent = left.dataset.text.replace("{minutes}", minutes);
  left.hidden = false;
}

function takeBreak() {
  clock.stop("break");
  rest.showModal();
}

rest?.addEventListener("close", () => {
  write({ ...read(), since: Date.now(), last: Date.now() });
  clock.go("break");
});
