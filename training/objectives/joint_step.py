"""One training step of several networks trained at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from torch import Tensor

from ..dataset.samples import Batch, shares
from ..placement import Placement
from .optimization import Trainable
from .tally import Tally


def step_together(
    networks: Sequence[Trainable],
    parts: Sequence[Batch],
    learn: Callable[[Batch, float], Mapping[str, Tensor]],
    placement: Placement,
    step: int,
    rate: float = 1.0,
) -> dict[str, float]:
    """Accumulate the gradients of all parts of a batch, then update all networks, or none of them.

    Parameters
    ----------
    networks
        Networks to update.
    parts
        The batch.
    learn
        Called with a part and the fraction of the batch it makes up: accumulates gradients in all networks and returns
        the part's loss terms.
    placement
        The device and the other processes.
    step, rate
        Number of the step, from 0, and a factor of the scheduled learning rates.

    Returns
    -------
    dict
        Loss terms, averaged over the batch and over processes.

    Raises
    ------
    NonFiniteError
        A term or a gradient is NaN or infinite; the step is undone.
    """
    tally = Tally(placement)
    try:
        for network in networks:
            network.begin()
        for part, share, last in shares(parts):
            with ExitStack() as stack:
                for network in networks:
                    stack.enter_context(network.gathering(last))
                tally.add(learn(part, share), share)
        values = tally.read()
        for network in networks:
            network.apply(step, rate)
    finally:
        for network in networks:
            network.discard()
    return values
