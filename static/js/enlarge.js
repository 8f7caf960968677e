// A picture opened over the page at its own size. Arrows go to the neighbours: left and right in their order, up and down
// in the row above and below. Without this the link opens the file.

const links = [...document.querySelectorAll("main a:has(> img)")];
const rows = [...Map.groupBy(links, (link) => link.closest("tr, li, figure")).values()];
const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

const dialog = document.createElement("dialog");
dialog.className = "enlarged";
dialog.setAttribute("aria-label", "Enlarged");
dialog.innerHTML = `
  <div class="row">
    <button type="button" data-by="-1">Previous</button>
    <button type="button" data-by="1">Next</button>
    <button type="button" data-actual aria-pressed="false">Actual size</button>
    <a target="_blank">The file</a>
    <button type="button" data-close>Close</button>
  </div>
  <div class="whole" tabindex="0" role="region" aria-label="Picture"><img alt=""></div>
  <p class="fine" role="status"></p>`;
document.body.append(dialog);
const [picture, file, told, actual] = ["img", "a", "p", "[data-actual]"].map((part) => dialog.querySelector(part));
let shown;

function show(link) {
  shown = link;
  const small = link.firstElementChild;
  const [width, height] = ["width", "height"].map((side) => small.getAttribute(side));
  Object.assign(picture, { src: link.href, alt: small.alt, width, height });
  file.href = link.href;
  told.textContent = `${small.alt}, ${width} × ${height} pixels, ${links.indexOf(link) + 1} of ${links.length}`;
}

function step(down, along) {
  const row = rows.findIndex((each) => each.includes(shown));
  const next = down ? rows[row + down]?.[rows[row].indexOf(shown)] : links[links.indexOf(shown) + along];
  if (next) show(next);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("main a:has(> img)");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  show(link);
  dialog.showModal();
});

dialog.addEventListener("click", ({ target }) => {
  if (target === dialog || "close" in target.dataset) dialog.close();
  if ("by" in target.dataset) step(0, Number(target.dataset.by));
  if (target === picture || target === actual) {
    const whole = dialog.toggleAttribute("data-actual");
    actual.setAttribute("aria-pressed", String(whole));
  }
});

dialog.addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || dialog.hasAttribute("data-actual")) return; // at its own size they move the picture
  event.preventDefault();
  step(...KEYS[event.key]);
});

dialog.addEventListener("close", () => {
  shown.focus();
  shown.scrollIntoView({ block: "nearest" });
});
