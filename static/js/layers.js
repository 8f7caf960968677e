// What lies in a pane, placed by the viewer: a whole picture or video, which the browser scales, or a large picture in
// tiles, of which OpenSeadragon fetches and draws what is seen. It follows the viewer, takes no keys or pointers of its
// own and has no motion of its own, so that both sides are drawn at the same place in the same frame.

const AT_ONCE = 4; // tiles that are fetched side by side
const KEPT = 100; // tiles of a megabyte each, besides those that are seen
const AHEAD = 1024; // pixels: levels up to this are fetched before a pair's turn

export function layerOf(element) {
  return element.matches(".tiles") ? new Tiles(element) : new Whole(element);
}

// Fetch what is seen of a side first, so that it is there when its turn comes.
export function fetchAhead(element) {
  if (!element.matches(".tiles")) return element.decode?.() ?? Promise.resolve();
  const pyramid = pyramidOf(element);
  const first = pyramid.levels.flatMap(({ width, height }, level) => {
    if (Math.max(width, height) > AHEAD) return [];
    const [columns, rows] = [width, height].map((length) => Math.ceil(length / pyramid.tile));
    return Array.from({ length: columns * rows }, (_, place) => pyramid.address(level, place % columns, Math.floor(place / columns)));
  });
  return Promise.all(first.map((src) => Object.assign(new Image(), { src }).decode()));
}

export function sizeOf(element) {
  const read = (name) => Number(element.getAttribute(name) ?? element.dataset[name]);
  return { width: read("width"), height: read("height") };
}

class Whole {
  constructor(element) {
    this.element = element;
  }

  async ready() {
    await this.element.decode?.();
  }

  lie({ left, top, width, height }) {
    Object.assign(this.element.style, { width: `${width}px`, height: `${height}px`, translate: `${left}px ${top}px` });
  }

  release() {}
}

class Tiles {
  constructor(element) {
    this.element = element;
    this.opened = this.open();
    this.opened.catch(() => {}); // said by `ready`
  }

  async open() {
    await library(this.element.dataset.library);
    if (!this.element.isConnected) return;
    const { width, tile, height, levels, address } = pyramidOf(this.element);
    this.drawing = new OpenSeadragon.Viewer({
      element: this.element,
      drawer: "canvas",
      tileSources: { width, height, tileSize: tile, tileOverlap: 0, minLevel: 0, maxLevel: levels.length - 1, getTileUrl: address },
      showNavigationControl: false,
      autoResize: false,
      animationTime: 0,
      blendTime: 0,
      tabIndex: "",
      imageLoaderLimit: AT_ONCE,
      maxImageCacheCount: KEPT,
    });
    this.drawing.setMouseNavEnabled(false);
    // Tiles are stretched by a pixel to hide the seams between them, but not where each pixel is one of the screen.
    this.drawing.drawer.minimumOverlapRequired = () => !this.place?.enlarged;
    await new Promise((done, failed) => {
      this.drawing.addOnceHandler("open", done);
      this.drawing.addOnceHandler("open-failed", failed);
    });
    this.draw();
  }

  // Once all that is seen of it is drawn, at the finest level that shows.
  async ready() {
    await this.opened;
    const item = this.drawing?.world.getItemAt(0);
    await new Promise((done, failed) => {
      if (!item) return; // another pair has taken its place
      this.drawing.addOnceHandler("tile-load-failed", failed);
      this.drawing.addHandler("update-viewport", () => item.getFullyLoaded() && done());
      this.drawing.forceRedraw();
    });
  }

  lie(place) {
    this.place = place;
    this.draw();
  }

  draw() {
    if (!this.place) return;
    const { left, top, width, room, enlarged } = this.place;
    Object.assign(this.element.style, { width: `${room.width}px`, height: `${room.height}px` });
    if (!this.drawing?.isOpen()) return;
    const { viewport, drawer } = this.drawing;
    const { Point, Rect } = OpenSeadragon;
    const size = viewport.getContainerSize();
    if (size.x !== room.width || size.y !== room.height) viewport.resize(new Point(room.width, room.height), false);
    drawer.setImageSmoothingEnabled(!enlarged);
    viewport.fitBounds(new Rect(-left / width, -top / width, room.width / width, room.height / width), true);
    this.drawing.forceRedraw();
  }

  release() {
    this.drawing?.destroy();
    this.drawing = null;
    this.element.replaceChildren(); // the pair may be shown again
  }
}

// The sizes of a large picture's levels, the coarsest first: it fits in one tile.
function pyramidOf(element) {
  const tile = Number(element.dataset.tile);
  const levels = [sizeOf(element)];
  while (Math.max(levels[0].width, levels[0].height) > tile) {
    const { width, height } = levels[0];
    levels.unshift({ width: Math.ceil(width / 2), height: Math.ceil(height / 2) });
  }
  const [path, query] = element.dataset.address.split("?");
  const address = (level, column, row) => `${path}/tiles/${level}/${column}_${row}${query ? `?${query}` : ""}`;
  return { ...levels.at(-1), tile, levels, address };
}

// OpenSeadragon, once it is needed. It would write a style sheet for phones into the page, which nothing here needs and
// the content security policy forbids, unless it finds an element that says so: one of that name, but no style sheet.
async function library(address) {
  if (!document.querySelector("style[data-openseadragon-mobile-css]")) {
    const said = document.createElementNS(null, "style");
    said.setAttribute("data-openseadragon-mobile-css", "");
    document.head.append(said);
  }
  await import(address);
}
