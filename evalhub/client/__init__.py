"""What runs on a training node: the `evalhub` command, and this client for scripts.

from pathlib import Path
from evalhub.client import Client, find

with Client("https://evalhub.example", token) as site:
    folder = Path("outputs")
    submission = site.submit("faces", "flow-xl", folder, find(folder), step=20_000)
"""

from evalhub.client.connection import BadFile, Client, Problem, Submission, Unreachable
from evalhub.client.layout import BadLayout, Layout, Output, find

__all__ = ["BadFile", "BadLayout", "Client", "Layout", "Output", "Problem", "Submission", "Unreachable", "find"]
