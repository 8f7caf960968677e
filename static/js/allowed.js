// What a browser that blocks third-party cookies denies to a page in another site's frame: its storage, and locks, which
// may not even be asked for then. Storage may be full, too. `session` then lasts as long as the page; `locks` are none.

function allowed(name) {
  try {
    return window[name];
  } catch {
    return null;
  }
}

const stored = allowed("sessionStorage");
const unstored = new Map();

export const session = {
  getItem: (name) => unstored.get(name) ?? stored?.getItem(name) ?? null,
  setItem(name, value) {
    try {
      stored.setItem(name, value);
    } catch {
      unstored.set(name, String(value));
    }
  },
};
export const locks = allowed("localStorage") && navigator.locks;
