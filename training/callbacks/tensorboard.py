"""TensorBoard: scalars and contact sheets."""

from __future__ import annotations

from pathlib import Path

from ..events import Event, Finished, Preview, StepDone, Validated


class TensorBoard:
    """Writes event files into a folder; needs the package `tensorboard`.

    Raises
    ------
    ImportError
        It is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Hides points after the step that a run is resumed from.
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def __call__(self, event: Event) -> None:
        match event:
            case StepDone():
                for name, value in event.losses.items():
                    self._writer.add_scalar(f"loss/{name}", value, event.step)
                self._writer.add_scalar("learning_rate", event.learning_rate, event.step)
            case Validated():
                for name, value in event.metrics.items():
                    self._writer.add_scalar(f"held_out/{name}", value, event.step)
            case Preview():
                self._writer.add_image("samples", event.image, event.step)
            case Finished():
                self._writer.close()
            case _:
                pass
