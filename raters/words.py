"""What owners write for raters, in Markdown, as safe HTML."""

from evalhub.studies.words import as_html

__all__ = ["as_html"]
