"""What runs on a training node: the `evalhub` command, and this client for scripts.

from evalhub.client import Client

with Client("https://evalhub.example", token) as site:
    submission = site.submit("faces", "flow-xl", "outputs", step=20_000)
    for score in submission.wait().scores():
        print(score.metric, score.value, score.low, score.high)
"""

from evalhub.client.answers import BadFile, Score, Submission, Unfinished
from evalhub.client.client import FACTS, Client
from evalhub.client.connection import Problem, Unreachable
from evalhub.client.layout import BadLayout, Layout, Output, find
from evalhub.client.sending import Watcher

__all__ = [
    "FACTS",
    "BadFile",
    "BadLayout",
    "Client",
    "Layout",
    "Output",
    "Problem",
    "Score",
    "Submission",
    "Unfinished",
    "Unreachable",
    "Watcher",
    "find",
]
