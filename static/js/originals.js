// Original videos on researchers' pages: where the browser cannot play one, a sentence says so in its place.

// An error does not bubble; it is heard on its way down.
document.addEventListener("error", ({ target }) => {
  if (!target.matches?.("video[poster]") || !target.error) return;
  const said = target.parentElement.querySelector(".unplayable");
  if (said) said.hidden = false;
  target.controls = false;
}, true);
