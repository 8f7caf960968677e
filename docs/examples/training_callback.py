"""Submit from inside a PyTorch training loop: sample the prompts every so many steps, and let training go on meanwhile.

Sampling takes the model and so takes turns with training; sending happens in a thread of its own and delays no step. A
picture is on disk, in the spool, before it is sent: a job that is killed then sends it at the next start.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from evalhub.client import Client, Submission

Sampler = Callable[[torch.nn.Module, str, int], torch.Tensor]
"""Gives, of a model, a prompt's text and a seed, a picture of (3, height, width) from 0 to 1."""


class SubmitSamples:
    """Args: spool: a folder that outlives the job; every: so many steps; seeds: of each prompt's pictures."""

    def __init__(
        self,
        site: Client,
        study: str,
        name: str,
        sample: Sampler,
        spool: Path,
        *,
        every: int,
        seeds: tuple[int, ...] = (0,),
    ) -> None:
        self.site, self.study, self.name, self.sample, self.spool = site, study, name, sample, spool
        self.every, self.seeds = every, seeds
        self.prompts = {prompt["key"]: prompt["text"] for prompt in site.prompts(study)}
        self._sender = ThreadPoolExecutor(1)
        self.submitted: list[Future[Submission]] = []

    def __call__(self, model: torch.nn.Module, step: int) -> None:
        """Call it after every step of the optimiser."""
        if step % self.every:
            return
        model.eval()
        with torch.inference_mode():
            made = [(key, seed, self._picture(model, key, seed)) for key in self.prompts for seed in self.seeds]
        model.train()
        spool = self.spool / f"step-{step}"
        sending = self._sender.submit(self.site.submit, self.study, self.name, made, step=step, spool=spool)
        self.submitted.append(sending)

    def close(self) -> list[Submission]:
        """Wait until everything is sent; call it when training ends."""
        self._sender.shutdown()
        return [each.result() for each in self.submitted]

    def _picture(self, model: torch.nn.Module, key: str, seed: int) -> object:
        picture = self.sample(model, self.prompts[key], seed)
        return picture.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
