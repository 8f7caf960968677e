"""What owners write for raters, in Markdown, as safe HTML."""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

_markdown = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")
# No pictures: one fetched from elsewhere would tell that site who reads the page and when.
_TAGS = nh3.ALLOWED_TAGS - {"img"}


def as_html(text: str) -> SafeString:
    """Markdown to HTML without scripts, styles or pictures; headings begin at the second level, below the page's."""
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.tag in {"h1", "h2", "h3", "h4", "h5"}:
            token.tag = f"h{int(token.tag[1]) + 1}"
    rendered = _markdown.renderer.render(tokens, _markdown.options, {})
    return mark_safe(nh3.clean(rendered, tags=_TAGS, link_rel="noopener noreferrer"))
