"""The pass: each picture is decoded once and feeds every extractor that the run's metrics need.

Rows found by the caller's lookup are not computed, and a sample whose rows were all found is never opened. Everything
runs in threads (Pillow and torch release the GIL; a Celery prefork child may not have children of its own): on a CPU
each core decodes, resizes and runs whole batches; on a GPU threads decode ahead of it. Load and run models in a Celery
child, never before the fork: a process that forks after multi-threaded torch has run hangs.
"""

from metrics.engine.onepass.computing import compute_block, compute_blocks, compute_reference
from metrics.engine.subjects import Subject

__all__ = ["Subject", "compute_block", "compute_blocks", "compute_reference"]
