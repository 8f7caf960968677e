// How long she looks at a pair. Time away (the page hidden or out of focus) is counted apart; while something covers the
// pair, no time counts at all.

const times = { looking: 0, away: 0, covered: 0 };
const covers = new Set();
let focused = document.hasFocus();
let counting = "covered";
let since = 0;

// Before anything changes what is counted, what has passed goes to what was.
function tick() {
  const now = performance.now();
  times[counting] += now - since;
  since = now;
  counting = covers.size ? "covered" : document.hidden || !focused ? "away" : "looking";
}

export function start() {
  focused = document.hasFocus();
  tick();
  Object.assign(times, { looking: 0, away: 0, covered: 0 });
}

export function stop(why) {
  covers.add(why);
  tick();
}

export function go(why) {
  covers.delete(why);
  tick();
}

// What has been counted since the start, in milliseconds.
export function read() {
  tick();
  return { milliseconds: Math.round(times.looking), away: Math.round(times.away) };
}

addEventListener("blur", () => { focused = false; tick(); });
addEventListener("focus", () => { focused = true; tick(); });
document.addEventListener("visibilitychange", tick);
