"""Weights & Biases: scalars and contact sheets; with WANDB_MODE=offline nothing leaves the machine."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from inpaint_core.files.images import to_bytes

from ..config import TrainConfig
from ..events import Event, Finished, Preview, StepDone, Validated


class WeightsAndBiases:
    """Logs to a run with the same identifier, so that a resumed training run continues it; needs the package `wandb`.

    Raises
    ------
    ImportError
        It is not installed.
    """

    def __init__(self, folder: Path, config: TrainConfig, run: str) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project="liminal", name=config.name, id=run, resume="allow", dir=str(folder), config=config.model_dump()
        )

    def __call__(self, event: Event) -> None:
        match event:
            case StepDone():
                self._run.log({**event.losses, "learning_rate": event.learning_rate}, step=event.step)
            case Validated():
                self._run.log({f"held_out_{name}": value for name, value in event.metrics.items()}, step=event.step)
            case Preview():
                picture = self._wandb.Image(Image.fromarray(to_bytes(event.image)))
                self._run.log({"samples": picture}, step=event.step)
            case Finished():
                self._run.finish()
            case _:
                pass
