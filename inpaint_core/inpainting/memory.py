"""What to do when memory runs out, and how much of it a pass may take."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

BYTES_PER_PIXEL = 1024  # of a pass: 64 planes of float32 at full size, in, out, joined, and a workspace
SHARE = 0.5  # of the free memory that a pass may take by estimate
MAX_PER_PASS = 16  # windows in a pass on an accelerator; more gain nothing there
# What allocators say that raise a plain RuntimeError.
PHRASES = ("out of memory", "can't allocate memory", "not enough memory")
MIN_SIDE = 64  # smaller windows than this show a network nothing

logger = logging.getLogger("liminal")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: torch's own, NumPy's, or a message of an allocator."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in PHRASES)


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device; None where it cannot be asked."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if device.type == "cpu" and meminfo.is_file():
        # Not sysconf's free pages: those leave out what the system would give back from its caches.
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        if "MemAvailable" in lines:
            return int(lines["MemAvailable"].split()[0]) * 1024
    return None


class Allowance:
    """How many windows of which size are shown at once, and how both shrink when memory runs out.

    Parameters
    ----------
    device
        Where the model runs.
    trained_side
        Side that larger windows are reduced to; None for models that take any size.
    size
        The same, chosen by hand: never changed.
    batch
        Windows at once, chosen by hand: never changed. None: one on a CPU, where more gain nothing and one keeps a
        picture's result independent of the others to the last bit; as many as memory allows elsewhere.
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
        """Side up to which a window whose longer side is `longest` is shown as it is."""
        return longest if self.side is None else self.side

    def batch(self, pixels: int) -> int:
        """How many windows of so many pixels are shown at once."""
        if self._manual_batch or self._pixels is None:
            return self._most
        return max(1, min(self._most, self._pixels // max(1, pixels)))

    def shrink(self, batch: int, longest: int, resizable: bool) -> bool:
        """Take less after a pass of `batch` windows with this longest side ran out of memory.

        Returns
        -------
        bool
            False when nothing is left to try short of another device.
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
        """Whether the CPU may be tried: nothing was chosen by hand, and it is not where the model is."""
        return self.device.type != "cpu" and not self._manual_size and not self._manual_batch

    def on_cpu(self) -> Allowance:
        """A fresh allowance for the CPU, which remembers what was tried."""
        allowance = Allowance(torch.device("cpu"), *self._first)
        allowance.tried = self.tried
        allowance._say("the CPU, which is slower")
        return allowance

    def failure(self) -> str:
        """One sentence about what was tried and what to do."""
        manual = [
            name
            for name, is_manual in (("size", self._manual_size), ("frames_per_batch", self._manual_batch))
            if is_manual
        ]
        advice = f"choose a smaller {' or '.join(manual)}, or leave it to be chosen" if manual else "free some memory"
        return f"out of memory; tried {', then '.join(self.tried)}: {advice}"

    def _note(self, attempt: str) -> None:
        if not self.tried or self.tried[-1] != attempt:
            self.tried.append(attempt)

    def _say(self, next_attempt: str) -> None:
        logger.warning("out of memory with %s; trying %s", self.tried[-1], next_attempt)


def _affordable_pixels(device: torch.device) -> int | None:
    free = free_bytes(device)
    return None if free is None else int(free * SHARE) // BYTES_PER_PIXEL
