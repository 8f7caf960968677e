// Sends a folder file by file through the API, with progress, where the browser can hash files (https or localhost).
// A zip, or a browser that cannot, takes the plain form post, which the server understands as well.

const form = document.getElementById("submit-form");
const folder = form.elements.folder;
const AT_ONCE = 4;
const TRIES = 5;
const NO_ID = "00000000-0000-0000-0000-000000000000";

class Problem extends Error {}

form.addEventListener("submit", (event) => {
  if (!folder.files.length || form.elements.archive.files.length) return;
  if (!crypto.subtle) {
    form.elements.paths.value = JSON.stringify([...folder.files].map(pathOf));
    return;
  }
  event.preventDefault();
  send().catch((error) => {
    finish();
    show("sending-title", error instanceof Problem ? "Not submitted" : "Interrupted");
    show("sending-line", error instanceof Problem ? error.message : `${error.message} Press Submit to go on where it stopped.`);
  });
});

async function send() {
  begin();
  const files = new Map([...folder.files].map((file) => [pathOf(file), file]));
  const outputs = (await laidOut(files)).outputs.map((output) => ({ ...output, file: files.get(output.chosen) }));
  const total = outputs.reduce((sum, output) => sum + output.file.size, 0);
  const reading = meter("Reading the files", total);
  await each(outputs, async (output) => {
    output.sha256 = await sha256(output.file);
    reading(output.file.size);
  });
  const submission = await promise(outputs);
  const wanted = new Set((await missingOf(submission)).map((file) => file.sha256));
  const missing = [...new Map(outputs.filter((output) => wanted.has(output.sha256)).map((output) => [output.sha256, output])).values()];
  const sending = meter(`Sending ${missing.length} of ${outputs.length} files`, missing.reduce((sum, output) => sum + output.file.size, 0));
  await each(missing, (output) => put(submission.id, output, sending));
  removeEventListener("beforeunload", warn);
  location.assign(form.dataset.page.replace(NO_ID, submission.id));
}

const pathOf = (file) => file.webkitRelativePath || file.name;
const csrf = () => form.elements.csrfmiddlewaretoken.value;

async function laidOut(files) {
  const listed = [...files.keys()].find((path) => /^([^/]+\/)?manifest\.(csv|jsonl)$/.test(path));
  return ask(form.dataset.layout, { paths: [...files.keys()], manifest: listed ? await files.get(listed).text() : "" });
}

async function promise(outputs) {
  const value = (name) => form.elements[name].value.trim();
  const number = (name) => (value(name) === "" ? null : Number(value(name)));
  const checkpoint = {};
  for (const name of ["name", "family", "gpu", "dtype", "notes"]) checkpoint[name] = value(name);
  for (const name of ["step", "latency_p50", "latency_p95", "price"]) checkpoint[name] = number(name);
  const files = outputs.map(({ path, sha256, prompt, seed, file }) => ({ path, sha256, size: file.size, prompt, seed }));
  return ask(form.dataset.submissions, { checkpoint, files });
}

async function ask(address, body) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(answer.detail || `The site answered ${response.status}; reload the page and try again.`);
  return answer;
}

// An answer lists the first ten thousand; the rest is read page by page.
async function missingOf(submission) {
  if (!submission.missing_more) return submission.missing;
  const missing = [];
  for (let address = new URL(submission.missing_more).pathname; address; ) {
    const response = await fetch(address);
    if (!response.ok) throw new Problem("The site did not say which files it lacks; submit again to go on where it stopped.");
    const page = await response.json();
    missing.push(...page.results);
    const next = page.next && new URL(page.next);
    address = next && next.pathname + next.search;
  }
  return missing;
}

async function sha256(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function put(id, output, progress) {
  const line = document.createElement("li");
  document.getElementById("sending-files").append(line);
  for (let attempt = 1; ; attempt += 1) {
    let told = 0;
    const answer = await putOnce(id, output, (sent) => {
      progress(sent - told);
      told = sent;
      line.textContent = `${output.path}: ${Math.floor((100 * sent) / output.file.size)} %`;
    });
    if (answer.status === 200 || answer.status === 422) {
      progress(output.file.size - told);
      line.remove();
      if (answer.status === 422) complain(answer.detail);
      return;
    }
    progress(-told);
    const passing = answer.status === 0 || answer.status === 429 || (answer.status >= 500 && answer.status !== 507);
    if (!passing || attempt === TRIES) {
      throw new Problem(answer.detail || "The site could not be reached; submit again to go on where it stopped.");
    }
    line.textContent = `${output.path}: trying again`;
    await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
  }
}

// XMLHttpRequest, since fetch does not tell how far an upload is.
function putOnce(id, output, progress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `${form.dataset.file.replace(NO_ID, id)}files/${output.sha256}/`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-CSRFToken", csrf());
    request.upload.addEventListener("progress", (event) => progress(event.loaded));
    request.addEventListener("loadend", () => {
      let detail = "";
      try {
        detail = JSON.parse(request.responseText).detail || "";
      } catch {
        // No answer, or not from the application: the status says what there is to say.
      }
      resolve({ status: request.status, detail });
    });
    request.send(output.file);
  });
}

async function each(things, work) {
  const waiting = [...things];
  const worker = async () => {
    while (waiting.length) await work(waiting.shift());
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } catch (error) {
    waiting.length = 0; // what has not begun does not begin
    throw error;
  }
}

function meter(title, total) {
  const began = performance.now();
  const bar = document.getElementById("sending-bar");
  let done = 0;
  show("sending-title", title);
  show("sending-line", "");
  bar.max = total || 1;
  bar.value = 0;
  return (bytes) => {
    done += bytes;
    bar.value = done;
    const rate = done / Math.max((performance.now() - began) / 1000, 0.001);
    const left = Math.ceil((total - done) / Math.max(rate, 1));
    show("sending-line", `${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB, ${(rate / 1e6).toFixed(1)} MB/s, ${left} s to go`);
  };
}

function begin() {
  document.getElementById("sending").hidden = false;
  document.getElementById("sending-problems").replaceChildren();
  document.getElementById("sending-files").replaceChildren();
  form.querySelector("button[type=submit]").disabled = true;
  addEventListener("beforeunload", warn);
}

function finish() {
  form.querySelector("button[type=submit]").disabled = false;
  removeEventListener("beforeunload", warn);
}

function warn(event) {
  event.preventDefault();
}

function show(id, text) {
  document.getElementById(id).textContent = text;
}

function complain(sentence) {
  const line = document.createElement("li");
  line.textContent = sentence;
  document.getElementById("sending-problems").append(line);
}
