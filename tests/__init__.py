"""A package by name, because a library installs another `tests` that would be found first."""
