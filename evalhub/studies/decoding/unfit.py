"""Why a file is not taken."""


class Unfit(Exception):
    """A phrase that follows the file's name in a sentence."""
