// The rater's desk: both pictures appear in one frame, then one key or click answers and the next pair takes their place.
// Without JavaScript the same forms work where the study allows it.

import { sendOthers } from "./sending.js";
import { desk, show } from "./showing.js";

document.addEventListener("htmx:afterSwap", () => desk().focus({ preventScroll: true }));
// Only once htmx has taken the forms over: an answer before that would be sent as one without JavaScript.
document.addEventListener("htmx:load", ({ target }) => {
  if (target === document.body || target === desk()) show();
});

sendOthers();
