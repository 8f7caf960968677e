"""What can go wrong, each as one sentence for a person: what was expected, what came, what to do."""


class EngineError(Exception):
    """The root of every error the engine raises on purpose; `str()` is a full sentence without a traceback."""


class BadInput(EngineError):
    """The caller's files, numbers or choices do not fit the metric that was asked for."""


class UnreadableImage(EngineError):
    """A file is not one still picture that the decode policy accepts."""


class MissingWeights(EngineError):
    """A metric needs weights that are not in the weights folder; the sentence names the command that gets them.

    Attributes: name: the weights' name in the catalogue.
    """

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


class WrongWeights(EngineError):
    """A weights file is not the one its name promises: another hash, another layout, or a pickle that wants to run
    code."""


class Mismatch(EngineError):
    """Blocks, references and protocols that were made under different settings met in one score."""


class Stopped(EngineError):
    """The caller asked the pass to stop."""
