// What a browser that blocks third-party cookies denies to a page in another site's frame: its storage, and locks, which
// may not even be asked for then. `session` lasts as long as the page there; `locks` are none.

function allowed(name) {
  try {
    return window[name];
  } catch {
    return null;
  }
}

function forThisPage() {
  const kept = new Map();
  return { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => { kept.set(name, String(value)); } };
}

export const session = allowed("sessionStorage") ?? forThisPage();
export const locks = allowed("localStorage") && navigator.locks;
