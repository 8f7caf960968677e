"""Files that come inside installed packages: found without running a package's code, and pinned by their bytes."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

_NODE_MODULES = Path(__file__).resolve().parents[3] / "node_modules"


class MaterialUnavailable(Exception):
    """A package does not hold the file that the demo was written for; the message says what to do."""


@dataclass(frozen=True)
class PackagedFile:
    """One file inside an installed package, pinned by the SHA-256 of its bytes.

    A package whose name starts with "@" comes from npm, any other is an importable Python package.
    """

    package: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Where the file lies on this machine. Raises MaterialUnavailable if its package is not installed."""
        if self.package.startswith("@"):
            return _NODE_MODULES / self.package / self.file
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise MaterialUnavailable(
                f"The demo needs the file {self.file} of the Python package {self.package}, which is not "
                "installed; install EvalHub with its server extra."
            )
        return Path(spec.origin).parent / self.file

    def content(self) -> bytes:
        """Its bytes. Raises MaterialUnavailable if they are not there or not the pinned ones."""
        path = self.path()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise MaterialUnavailable(
                f"The demo needs the file {self.file} of the package {self.package}, but {path} "
                f"cannot be read ({error.strerror}); install that package again at the version this project pins."
            ) from error
        digest = sha256(content).hexdigest()
        if digest != self.sha256:
            raise MaterialUnavailable(
                f"The demo expects {path} to have the SHA-256 {self.sha256}, but it has {digest}; "
                f"install the package {self.package} again at the version this project pins."
            )
        return content
