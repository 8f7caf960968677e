"""One thread for linear algebra. The matrices here are small, and OpenBLAS's threads wait for one another by spinning:
two of them save little, and on a busy machine cost a hundred times what one takes."""

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


def one_thread(verb: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function whose linear algebra should take one thread."""

    @wraps(verb)
    def alone(*arguments: P.args, **options: P.kwargs) -> R:
        with _blas().limit(limits=1):
            return verb(*arguments, **options)

    return alone


@cache
def _blas() -> ThreadpoolController:
    """Numpy's, and scipy's own, which is loaded late and found only once it is loaded."""
    import_module("scipy.linalg")
    return ThreadpoolController().select(user_api="blas")
