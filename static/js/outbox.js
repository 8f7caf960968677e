// Answers the server has not confirmed yet, kept in this browser under the rater's desk: written before they are sent,
// removed when the server has them. Sending one twice is harmless, since the server counts each once.

export class Outbox {
  constructor(desk) {
    this.prefix = `evalhub.answer.${desk}.`;
  }

  put(answer) {
    localStorage.setItem(this.prefix + answer.comparison, JSON.stringify(answer));
  }

  get(comparison) {
    return JSON.parse(localStorage.getItem(this.prefix + comparison));
  }

  drop(comparison) {
    localStorage.removeItem(this.prefix + comparison);
  }

  all() {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(this.prefix));
    return names.map((name) => JSON.parse(localStorage.getItem(name)));
  }
}
