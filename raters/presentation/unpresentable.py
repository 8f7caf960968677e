"""What cannot be shown."""


class Unpresentable(Exception):
    """Why a file cannot be shown, as one sentence."""
