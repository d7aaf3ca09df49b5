"""The node that trains a model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.batches import paired
from inpaint_core.translation.sensitivity import Sensitivity

from ..training.config import CompositeConfig, TrainConfig, parse_config, read_recipe, recipe_names
from ..training.errors import SettingError, TrainingError, with_named_fields
from ..training.layers import layered
from . import host
from .pictures import MIN_SIDE, known_squares
from .training_status import TrainingStatus, widget

if TYPE_CHECKING:
    from ..training.engine.session import TrainResult

CONNECTED = "(connected images)"
PHOTOGRAPHS = "(photographs of scikit-image)"
AS_RECIPE = "as the recipe says"
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta")
BOTH = "Training uses the pictures in {}, not the connected images; to use those, set folder to (connected images)."
LEFT_OUT = (
    "trained without the recipe's perceptual and style losses: they need VGG weights, and nodes do not download "
    "anything; to use them, train with python -m training.run"
)
RESUME: dict[str, Literal["same", "auto", "none"]] = {"if nothing changed": "same", "always": "auto", "never": "none"}


class TrainModel(io.ComfyNode):
    """Train a network inside ComfyUI."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_TrainModel",
            display_name="Train Model (Liminal)",
            category="Liminal/training",
            description="Trains a small network in minutes, on a folder of pictures or on connected images. Cancel "
            "saves the progress, and the next run resumes from there.",
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            inputs=[
                io.Combo.Input(
                    "recipe",
                    options=recipe_names(),
                    default="demo",
                    tooltip="Which network to train, and how. Perceptual and style losses are omitted here, because "
                    "they need VGG weights and nodes do not download anything.",
                ),
                io.Combo.Input(
                    "folder",
                    options=[CONNECTED, PHOTOGRAPHS, *host.picture_folders()],
                    default=CONNECTED,
                    tooltip="What to train on: the images connected to this node, scikit-image's sample photographs, "
                    "or a folder inside ComfyUI's input, output or datasets folders. A folder takes precedence over "
                    "connected images.",
                ),
                io.String.Input(
                    "run_name",
                    default="my model",
                    tooltip="The training run is saved in output/liminal under this name, and Load Liminal Model "
                    "lists it.",
                ),
                io.Int.Input(
                    "steps",
                    default=500,
                    min=0,
                    max=10_000_000,
                    tooltip="Total number of steps, including those before a resume. 0: as in the recipe.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=0,
                    min=0,
                    max=512,
                    tooltip="Pictures per step. 0: as in the recipe.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "size",
                    default=0,
                    min=0,
                    max=1024,
                    step=16,
                    tooltip="Side in pixels of the training crops. 0: as in the recipe.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "learning_rate",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=1e-5,
                    round=1e-9,
                    tooltip="Learning rate of the optimizer. 0: as in the recipe.",
                ),
                io.Combo.Input(
                    "optimizer",
                    options=[AS_RECIPE, *OPTIMIZERS],
                    default=AS_RECIPE,
                    tooltip="The algorithm that updates the weights.",
                    extra_dict=host.ADVANCED,
                ),
                host.seed_input(
                    "Seed of the initial weights, crops and holes. On a CPU, the same seed gives the same model. A "
                    "resumed run keeps its original seed.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "preview_every",
                    default=50,
                    min=1,
                    max=100_000,
                    tooltip="Number of steps between previews on the node; the first preview comes earlier.",
                    extra_dict=host.ADVANCED,
                ),
                io.Combo.Input(
                    "resume",
                    options=list(RESUME),
                    tooltip="Whether to resume an existing run of this name. if nothing changed: resume if settings "
                    "and pictures are the same (steps may be increased, and the seed is ignored), otherwise start a "
                    "new run with a number appended to its name. always: resume even if they differ. never: always "
                    "start a new run.",
                ),
                io.Boolean.Input(
                    "subfolders",
                    default=False,
                    tooltip="Also train on the pictures in subfolders.",
                    extra_dict=host.ADVANCED,
                ),
                io.Image.Input("images", optional=True, tooltip="Pictures to train on."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White (1) marks parts of the connected images to exclude from training, such as an "
                    "object to remove.",
                ),
            ],
            outputs=[
                host.LiminalModel.Output("LIMINAL_MODEL", tooltip="The best model so far, ready to use."),
                io.LossMap.Output("LOSS_MAP", tooltip="The loss of every step, for Plot Loss Graph."),
                io.Image.Output("samples", tooltip="The model's output for pictures it was not trained on."),
                io.String.Output("path", tooltip="The model's file."),
                io.String.Output(
                    "report",
                    tooltip="A summary of the training run, with the model's scores and those of simple fills.",
                ),
            ],
        )
        return host.searchable(schema, "train", "trainer", "training", "fine-tune", "pix2pix", "learn from images")

    @classmethod
    def validate_inputs(cls, run_name: str) -> bool | str:
        # The host repeats the returned message for every input named here; folder is checked against its list.
        try:
            host.run_folder(run_name)  # the host puts the widget's name in front
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: str, run_name: str = "", **others: Any) -> tuple[str, int]:
        pictures = (
            folder if folder in (CONNECTED, PHOTOGRAPHS) else host.folder_fingerprint(host.picture_folder(folder))
        )
        return pictures, FINISHED.times_lost(run_name)

    @classmethod
    def execute(
        cls,
        folder: str,
        run_name: str,
        resume: str,
        images: Tensor | None = None,
        mask: Tensor | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        # Imported late: only training needs it, and every import delays the host's start.
        from ..training.engine.session import StoppedError, run_training
        from ..training.runs.folder import seed_of_matching_run

        out = run_folder(run_name)
        source = picture_source(folder, images, mask)
        notes = [BOTH.format(folder)] if images is not None and folder != CONNECTED else []
        with host.training_device() as device:
            try:
                wanted = configuration(out.name, source, str(device), **settings)
                if RESUME[resume] != "none":
                    wanted = wanted.model_copy(update={"seed": seed_of_matching_run(out, without_download(wanted))})
                config = without_download(wanted)
                notes += [] if config.objective == wanted.objective else [LEFT_OUT]
                watcher = TrainingStatus(cls, config.steps, list(notes))
                stop = watcher.progress.cancelled
                result = run_training(config, out=out, resume=RESUME[resume], callbacks=[watcher], should_stop=stop)
            except StoppedError:
                watcher.stopped()
                watcher.progress.raise_if_cancelled()
                raise
            except SettingError as error:
                raise ValueError(error.named(widget)) from error
            except TrainingError as error:
                raise type(error)(with_named_fields(str(error), widget)) from error
        watcher.progress.raise_if_cancelled()
        FINISHED.add(run_name, result.path)
        return io.NodeOutput(
            host.hosted(result.model),
            {"loss": [loss for loss in result.losses if math.isfinite(loss)]},
            host.host_image(result.samples[None]),
            str(result.path),
            "\n".join([report(result), *notes]),
            ui={"images": host.newest_pictures(result.path.parent / "samples", 1)},
        )


class FinishedRuns:
    """Models trained by this process, so that a deleted run is noticed and trained again."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}
        self._lost: dict[str, int] = {}

    def add(self, run_name: str, file: Path) -> None:
        """Remember the model of a run."""
        self._files[run_name] = file

    def times_lost(self, run_name: str) -> int:
        """How often the model of this name was found missing."""
        file = self._files.get(run_name)
        if file is not None and not file.is_file():
            del self._files[run_name]
            self._lost[run_name] = self._lost.get(run_name, 0) + 1
        return self._lost.get(run_name, 0)


FINISHED = FinishedRuns()


def run_folder(run_name: str) -> Path:
    """The folder of the run of this name.

    Raises
    ------
    ValueError
        It is not a valid name; the message begins with the widget's name.
    """
    try:
        return host.run_folder(run_name)
    except ValueError as error:
        raise ValueError(f"run_name: {error}") from None


def picture_source(folder: str, images: Tensor | None, mask: Tensor | None) -> Path | None:
    """The folder to train on; None for the photographs of scikit-image.

    Raises
    ------
    ValueError
        Nothing is connected, no part of the pictures is known, or the folder is not allowed.
    """
    if folder == PHOTOGRAPHS:
        return None
    if folder != CONNECTED:
        return host.picture_folder(folder)
    if images is None:
        raise ValueError("there are no pictures to train on: connect images, or select a folder")
    planes = host.image_planes(images)[:, :3]
    if mask is None:
        return host.store_pictures(list(planes))
    planes, holes = paired(planes, host.hole_planes(mask, planes), ("images", "masks"))
    parts = [part for plane, hole in zip(planes, holes, strict=True) for part in known_squares(plane, hole[0])]
    if not parts:
        raise ValueError(f"the mask leaves no part of the pictures that is at least {MIN_SIDE} pixels wide to train on")
    return host.store_pictures(parts)


def configuration(
    name: str,
    pictures: Path | None,
    device: str,
    *,
    recipe: str,
    steps: int,
    batch_size: int,
    size: int,
    learning_rate: float,
    optimizer: str,
    seed: int,
    preview_every: int,
    subfolders: bool,
) -> TrainConfig:
    """The recipe with the node's settings applied.

    Raises
    ------
    ConfigError
        No such recipe, or an invalid value.
    """
    changes: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "device": device,
        "preview_every": preview_every,
        "data": {"folder": None if pictures is None else str(pictures), "recursive": subfolders},
    }
    if steps:
        changes["steps"] = steps
    if batch_size:
        changes["batch_size"] = batch_size
    if size:
        # The recipe's working resolution only suits the recipe's size.
        changes["data"] |= {"size": size, "shorter_side": None}
    chosen = {"name": optimizer if optimizer != AS_RECIPE else None, "learning_rate": learning_rate or None}
    changes["optimizer"] = {key: value for key, value in chosen.items() if value is not None}
    return parse_config(layered(read_recipe(recipe), changes))


def without_download(config: TrainConfig) -> TrainConfig:
    """The same without losses whose network would have to be downloaded: nodes do not use the network."""
    objective = config.objective
    if not isinstance(objective, CompositeConfig) or objective.features != "vgg16":
        return config
    changes = {"features": "none", "adversary": "patches"}  # the other discriminator reads the same features
    return config.model_copy(update={"objective": objective.model_copy(update=changes)})


def report(result: TrainResult) -> str:
    """A summary of the result in a few lines."""
    lines = [f"{result.path.parent.name}: {result.steps} steps, {result.model.card.data}"]
    lines += result.objective.score.lines(result.metrics, result.baselines)
    sensitivity = Sensitivity.from_metrics(result.metrics)
    if sensitivity is not None and sensitivity.collapsed:
        lines.append(sensitivity.advice())
    return "\n".join(lines)
