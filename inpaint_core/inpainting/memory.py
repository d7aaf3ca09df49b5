"""How much memory a pass may use, and what to do when it runs out."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

BYTES_PER_PIXEL = 1024  # of a pass: 64 float32 planes at full size as input, output, concatenation and workspace
SHARE = 0.5  # of the free memory, for the estimated size of a pass
MAX_PER_PASS = 16  # windows per pass on an accelerator; more are no faster
# Messages of allocators that raise a plain RuntimeError.
PHRASES = ("out of memory", "can't allocate memory", "not enough memory")
MIN_SIDE = 64  # in smaller windows a network sees too little

logger = logging.getLogger("liminal")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means out of memory: torch's or NumPy's own, or one with an allocator's message."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in PHRASES)


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device; None if it cannot be determined."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if device.type == "cpu" and meminfo.is_file():
        # Not sysconf's free pages, which exclude memory that the system would reclaim from its caches.
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        if "MemAvailable" in lines:
            return int(lines["MemAvailable"].split()[0]) * 1024
    return None


class Allowance:
    """How many windows of which size are processed at once, and how both are reduced when memory runs out.

    Parameters
    ----------
    device
        Where the model runs.
    trained_side
        Side that larger windows are reduced to; None for models that accept any size.
    size
        The same side, chosen by the user: never changed.
    batch
        Windows at once, chosen by the user: never changed. None: as many as memory allows, but only one on a CPU, where
        more are no faster and each picture's result must not depend on the others, not even in the last bit.
    """

    def __init__(self, device: torch.device, trained_side: int | None, size: int | None, batch: int | None) -> None:
        self._manual_size = size is not None
        self._manual_batch = batch is not None
        self._first = (trained_side, size, batch)
        self._pixels = _affordable_pixels(device)
        self.device = device
        self.side = size if size is not None else trained_side
        if self.side is not None and not self._manual_size and self._pixels is not None:
            while self.side**2 > self._pixels and self.side > MIN_SIDE:
                self.side //= 2
        self._most = batch if batch is not None else (1 if device.type == "cpu" else MAX_PER_PASS)
        self.tried: list[str] = []

    def limit(self, longest: int) -> int:
        """Largest side at which a window whose longer side is `longest` is processed unreduced."""
        return longest if self.side is None else self.side

    def batch(self, pixels: int) -> int:
        """How many windows of this many pixels are processed at once."""
        if self._manual_batch or self._pixels is None:
            return self._most
        return max(1, min(self._most, self._pixels // max(1, pixels)))

    def shrink(self, batch: int, longest: int, resizable: bool) -> bool:
        """Shrink after a pass of `batch` windows with this longest side ran out of memory.

        Returns
        -------
        bool
            False if only another device is left to try.
        """
        self._note(
            f"{batch} window{'s' * (batch > 1)} of up to {min(longest, self.limit(longest))} pixels on {self.device}"
        )
        if batch > 1 and not self._manual_batch:
            self._most = batch // 2
            self._say(f"{self._most} at once")
            return True
        side = min(longest, self.limit(longest))
        if resizable and not self._manual_size and side > MIN_SIDE:
            self.side = max(MIN_SIDE, side // 2)
            self._say(f"windows of up to {self.side} pixels")
            return True
        return False

    def may_move(self) -> bool:
        """Whether the CPU may be tried: the user chose nothing, and the model is not there already."""
        return self.device.type != "cpu" and not self._manual_size and not self._manual_batch

    def on_cpu(self) -> Allowance:
        """A new allowance for the CPU that keeps the record of what was tried."""
        allowance = Allowance(torch.device("cpu"), *self._first)
        allowance.tried = self.tried
        allowance._say("the CPU, which is slower")
        return allowance

    def failure(self) -> str:
        """A message on what was tried and what to do."""
        manual = [
            name
            for name, is_manual in (("size", self._manual_size), ("frames_per_batch", self._manual_batch))
            if is_manual
        ]
        advice = f"choose a smaller {' or '.join(manual)}, or leave it unset" if manual else "free some memory"
        return f"out of memory; tried {', then '.join(self.tried)}: {advice}"

    def _note(self, attempt: str) -> None:
        if not self.tried or self.tried[-1] != attempt:
            self.tried.append(attempt)

    def _say(self, next_attempt: str) -> None:
        logger.warning("out of memory with %s; trying %s", self.tried[-1], next_attempt)


def _affordable_pixels(device: torch.device) -> int | None:
    free = free_bytes(device)
    return None if free is None else int(free * SHARE) // BYTES_PER_PIXEL
