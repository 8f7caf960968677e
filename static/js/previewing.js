// A researcher tries what raters see. Keys, views and forms work as they do for a rater, but nothing leaves the page: each
// form leads to the next page of the preview, but the one that shows what a sensitive study blurs.

const bar = document.getElementById("preview");

document.addEventListener("submit", (event) => {
  if (event.target.matches(".cover")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  location.assign(bar.dataset.next);
}, true);

if (document.getElementById("desk")) {
  await import("./answering.js");
  const { desk, ready, show } = await import("./showing.js");
  await ready(desk());
  show(desk());
}
