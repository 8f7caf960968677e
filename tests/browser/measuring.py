"""What is measured of a page besides what axe finds: its width, its targets, its focus, its motion."""

from playwright.sync_api import Page

from tests.browser.test_pages import violations

WIDTHS = (360, 768, 1400)

# WCAG 2.2, 2.5.8: at least 24 × 24 CSS pixels, or so much room that a circle of that size around the target's middle
# meets no other one. Links within a sentence are excepted; a label is part of its box.
_SMALL_TARGETS = """() => {
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const inline = (element) => getComputedStyle(element).display === "inline"
    && [...element.parentElement.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim().length > 3);
  const targets = [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
    .filter((element) => shown(element) && element.type !== "hidden" && !element.closest(".visually-hidden, .skip"))
    .map((element) => ({ element, all: [element, ...(element.labels ?? [])] }))
    .map(({ element, all }) => ({ element, boxes: all.map((each) => each.getBoundingClientRect()) }));
  const size = ({ boxes }, side) => Math.max(...boxes.map((box) => box[side]));
  const small = targets.filter((one) => Math.min(size(one, "width"), size(one, "height")) < 24);
  const meets = (x, y, { left, right, top, bottom }) =>
    Math.hypot(x - Math.max(left, Math.min(x, right)), y - Math.max(top, Math.min(y, bottom))) < 12;
  const crowded = ({ element, boxes: [box] }) => targets.some((other) => other.element !== element
    && !other.element.contains(element) && !element.contains(other.element)
    && other.boxes.some((near) => meets((box.left + box.right) / 2, (box.top + box.bottom) / 2, near)));
  return small.filter((one) => !one.element.disabled && !inline(one.element) && crowded(one))
    .map((one) => `${one.element.outerHTML.slice(0, 120)} ${size(one, "width")}×${size(one, "height")}`);
}"""

_FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
  const label = element.labels?.[0];
  const around = label ? getComputedStyle(label) : null; // a field may be outlined by its label
  const visible = (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none"
    || (around !== null && around.outlineStyle !== "none" && parseFloat(around.outlineWidth) >= 1);
  const own = element.getBoundingClientRect();
  const box = own.width > 1 ? own : label.getBoundingClientRect();
  const all = [...document.querySelectorAll("*")];
  return {
    html: element.outerHTML.slice(0, 120), visible, place: all.indexOf(element),
    inside: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
  };
}"""

_MOVING = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const style = getComputedStyle(element);
  const longest = (text) => Math.max(...text.split(",").map(parseFloat));
  return longest(style.animationDuration) > 0.05 && style.animationName !== "none"
    || longest(style.transitionDuration) > 0.05;
}).map((element) => element.outerHTML.slice(0, 120))"""


def too_wide(page: Page) -> list[str]:
    """At which widths the page has to be scrolled sideways."""
    before = page.viewport_size
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            found.append(f"{over} pixels too wide at {width}")
    assert before is not None
    page.set_viewport_size(before)
    return found


def small_targets(page: Page) -> list[str]:
    return [f"a small target: {one}" for one in page.evaluate(_SMALL_TARGETS)]


def faults(page: Page) -> list[str]:
    """What axe finds at 1400 pixels in the light and at 360 in the dark, small targets there, and what is too wide."""
    found = []
    for width, scheme in ((1400, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        # With less motion no button is looked at on its way from one colour to the other.
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        found += [f"{width} {scheme}: {one}" for one in violations(page) + small_targets(page)]
    found += too_wide(page)
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    page.set_viewport_size({"width": 1400, "height": 900})
    return found


def focus_faults(page: Page, most: int = 40) -> list[str]:
    """Go through the page by Tab: each stop is seen, is in the window, and comes in the order of the page."""
    found: list[str] = []
    page.evaluate("document.activeElement?.blur()")
    last, stops = -1, 0
    for _ in range(most):
        page.keyboard.press("Tab")
        here = page.evaluate(_FOCUSED)
        if here is None or here["place"] == last:
            break
        if here["place"] < last:
            break  # it begins anew
        stops += 1
        last = here["place"]
        if not here["visible"]:
            found.append(f"focus is not seen on {here['html']}")
        if not here["inside"]:
            found.append(f"focus is outside the window on {here['html']}")
    return found if stops else ["Tab leads nowhere"]


def motion(page: Page) -> list[str]:
    """What still moves for somebody who asked for less of that."""
    page.emulate_media(reduced_motion="reduce")
    found = [f"moves: {one}" for one in page.evaluate(_MOVING)]
    page.emulate_media(reduced_motion="no-preference")
    return found
