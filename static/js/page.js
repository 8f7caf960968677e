// What every page has: buttons that copy, tables that sort, and a word when the server could not be reached.

import "./sorting.js";

const notices = document.getElementById("notices");

function say(sentence) {
  const line = document.createElement("li");
  line.className = "notice bad";
  line.textContent = sentence;
  notices?.replaceChildren(line);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = "Copied";
  } catch {
    // No clipboard without https, or it was refused: select the text, so that the keyboard can copy it.
    getSelection().selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
});

document.addEventListener("htmx:sendError", () => {
  say("The server did not answer; check your connection and try again.");
});

document.addEventListener("htmx:responseError", (event) => {
  say(`The server answered ${event.detail.xhr.status}; reload the page and try again.`);
});

// A form is sent once, however often its button is pressed; coming back to the page arms it again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "get") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
