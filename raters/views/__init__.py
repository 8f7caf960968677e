"""Pages of raters, and of owners about them."""
