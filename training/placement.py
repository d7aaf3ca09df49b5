"""Where a training runs: device and process."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from .config import ConfigError


@dataclass(frozen=True)
class Placement:
    """This process's device and its place among the processes that train together."""

    device: torch.device
    rank: int = 0
    processes: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Average over all processes."""
        if self.processes > 1:
            values = values.clone()
            distributed.all_reduce(values)
            values /= self.processes
        return values

    def any(self, flag: bool) -> bool:
        """Whether any process says yes; all have to ask."""
        if self.processes == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0.0)


def choose_device(name: str) -> torch.device:
    """`auto` gives a GPU where there is one; anything else must exist.

    Raises
    ------
    ConfigError
        No such device on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return torch.device("cuda", torch.cuda.current_device()) if name == "cuda" else device
