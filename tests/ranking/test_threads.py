"""Linear algebra keeps to one thread while a ranking is made, and only then."""

import numpy as np
from threadpoolctl import threadpool_info

from raters.ranking.threads import one_thread


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@one_thread
def threads_within(matrix: np.ndarray) -> tuple[set[int], float]:
    return blas_threads(), float(np.linalg.det(matrix))


def test_one_thread_within_and_as_before_after() -> None:
    before = blas_threads()
    within, determinant = threads_within(np.diag([2.0, 3.0]))
    assert within == {1}
    assert determinant == 6
    assert blas_threads() == before
