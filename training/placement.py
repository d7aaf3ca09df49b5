"""Placement of a training run: device and process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from inpaint_core.devices import find_device
from inpaint_core.processes import choose_gpu, process_count

from .config import ConfigError

Decision = TypeVar("Decision")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Placement:
    """This process's device and its rank among the processes that train together."""

    device: torch.device
    rank: int = 0
    processes: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait for all processes."""
        if self.processes > 1:
            distributed.barrier()

    def agree(self, decide: Callable[[], Decision]) -> Decision:
        """Let the first process decide; all processes get its answer or its ValueError."""
        answer: list[tuple[Decision | None, str | None]] = [(None, None)]
        if self.first:
            try:
                answer = [(decide(), None)]
            except ValueError as error:
                answer = [(None, str(error))]
        if self.processes > 1:
            distributed.broadcast_object_list(answer, src=0)
        decision, refusal = answer[0]
        if refusal is not None:
            raise ConfigError(refusal)
        return decision  # type: ignore[return-value]

    def mean(self, values: Tensor) -> Tensor:
        """Average over all processes."""
        if self.processes > 1:
            values = values.clone()
            distributed.all_reduce(values)
            values /= self.processes
        return values

    def gather(self, values: Tensor) -> Tensor:
        """The values of all processes, concatenated along the first axis; of the same shape in each."""
        if self.processes == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.processes)]
        distributed.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def gather_names(self, names: list[str]) -> list[str]:
        """The same for strings."""
        if self.processes == 1:
            return names
        parts: list[list[str]] = [[] for _ in range(self.processes)]
        distributed.all_gather_object(parts, names)
        return [name for part in parts for name in part]

    def gather_to_first(self, value: Value) -> list[Value]:
        """In the first process the values of all, in the order of their ranks; in the others an empty list."""
        if self.processes == 1:
            return [value]
        parts: list[Any] | None = [None] * self.processes if self.first else None
        distributed.gather_object(value, parts, dst=0)
        return parts or []

    def any(self, flag: bool) -> bool:
        """Whether the argument is true in any process; all processes have to call this."""
        if self.processes == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0.0)


def place(name: str) -> Placement:
    """The device by name, and this process's rank in torch's process group, if any."""
    device = choose_device(name)
    if not distributed.is_initialized():
        return Placement(device)
    return Placement(device, distributed.get_rank(), distributed.get_world_size())


@contextmanager
def process_group() -> Iterator[None]:
    """Join torchrun's processes for the duration of the block; does nothing in a single process or in a joined one."""
    if process_count() == 1 or distributed.is_initialized():
        yield
        return
    choose_gpu()
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def choose_device(name: str) -> torch.device:
    """`auto` means a GPU if there is one; any other device must exist.

    Raises
    ------
    ConfigError
        No such device on this machine.
    """
    try:
        return find_device(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None
