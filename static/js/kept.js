// A page without pairs (the study is paused, she is done, …): what this browser still keeps is sent from here.

import { outbox, reload, send } from "./sending.js";

if (outbox.all().length) {
  document.addEventListener("sent", () => { if (!outbox.all().length) reload(); });
  send();
}
