"""Devices by name, checked before use."""

from __future__ import annotations

import torch


def find_device(name: str) -> torch.device:
    """A device of this machine that networks can run on.

    Parameters
    ----------
    name
        `auto` (a GPU if there is one), or a device name of PyTorch: `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises
    ------
    ValueError
        No such device on this machine, or one that cannot hold values.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        # A device without memory, such as "meta", cannot return a value.
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        reason = " ".join(str(error).split(". ")[0].split()) or type(error).__name__
        raise ValueError(f"device {name!r} is not available ({reason[:160]}); use cpu, or cuda for a GPU") from None
    return torch.device("cuda", torch.cuda.current_device()) if name == "cuda" else device
