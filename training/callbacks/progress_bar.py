"""A progress bar for the terminal."""

from __future__ import annotations

from inpaint_core.text import MAX_MESSAGE_LENGTH, one_line

from ..command_line import option
from ..errors import with_named_fields
from ..events import Event, Finished, Message, Started, StepDone, Validated


class ProgressBar:
    """tqdm on standard error: steps, loss, best measurement, images per second, time left."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._tqdm = tqdm
        self._bar: tqdm | None = None
        self._shown: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self._bar = self._tqdm(
                    total=event.steps,
                    initial=event.step,
                    unit="step",
                    dynamic_ncols=True,
                    mininterval=0.2,
                    bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
                )
            case StepDone() if self._bar is not None:
                self._shown |= {"loss": f"{event.losses['loss']:.4f}", "images/s": f"{event.images_per_second:.0f}"}
                self._bar.set_postfix(self._shown, refresh=False)
                self._bar.update()
            case Validated():
                self._shown |= {name: f"{value:.2f}" for name, value in event.metrics.items()}
            case Message():
                self._tqdm.write(one_line(with_named_fields(event.text, option), MAX_MESSAGE_LENGTH))
            case Finished() if self._bar is not None:
                self._bar.close()
            case _:
                pass
