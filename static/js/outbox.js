// What the rater said and the server has not confirmed yet, in the order in which she said it: kept in this browser under
// her desk before it is sent, dropped when the server has it. Several windows share it. Where the browser keeps nothing
// (no storage, or it is full), it lasts as long as the page.

export class Outbox {
  constructor(desk) {
    this.prefix = `evalhub.unsent.${desk}.`;
    this.window = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
    this.unkept = new Map();
  }

  get storage() {
    try {
      return window.localStorage;
    } catch {
      return null; // forbidden in this browser
    }
  }

  // Names are numbered, so that their order needs no clock; the window's mark keeps two of one number apart.
  put(entry) {
    const last = this.names().at(-1)?.slice(this.prefix.length).split(".")[0] ?? 0;
    const name = `${this.prefix}${String(Number(last) + 1).padStart(9, "0")}.${this.window}`;
    try {
      this.storage.setItem(name, JSON.stringify(entry));
    } catch {
      this.unkept.set(name, entry);
    }
    return name;
  }

  drop(name) {
    this.unkept.delete(name);
    try {
      this.storage?.removeItem(name);
    } catch {
      // it was never there
    }
  }

  all() {
    return this.names().map((name) => ({ name, ...this.read(name) }));
  }

  // Whether the last that she said of the comparison, and that is not sent yet, is an answer or a skip.
  answers(comparison) {
    const last = this.all().findLast((entry) => entry.comparison === comparison);
    return last !== undefined && !last.undo;
  }

  // Whether all of it outlives this page.
  get kept() {
    return this.unkept.size === 0;
  }

  names() {
    const stored = this.storage ? Object.keys(this.storage).filter((name) => name.startsWith(this.prefix)) : [];
    return [...stored, ...this.unkept.keys()].sort();
  }

  read(name) {
    return this.unkept.get(name) ?? JSON.parse(this.storage.getItem(name));
  }
}
