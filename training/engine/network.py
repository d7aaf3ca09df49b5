"""The network of a training and what its checkpoints will say about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from inpaint_core.checkpoints.card import ModelCard, ValueRange
from inpaint_core.checkpoints.files import load_model
from inpaint_core.models.architecture import Network
from inpaint_core.models.registry import build_model, describe, find_architecture

from ..config import ConfigError, Pix2PixConfig, TrainConfig
from ..dataset.scan import Dataset
from ..objectives.objective import Model
from ..randomness import torch_generator
from .measurement import input_settings, translates

# Partial convolution is trained in ImageNet's normalisation, as its published weights are; what corrects a smooth fill
# normalises by itself.
VALUE_RANGES: dict[str, ValueRange] = {"pconv_unet": "imagenet"}
GRAY = (0.5, 0.5, 0.5)
SMOOTH_START_HEADS = ("residual", "detailed")


def build_network(config: TrainConfig) -> tuple[dict[str, Any], Network, Model | None]:
    """The network, freshly initialised or preloaded, with its complete arguments.

    Returns
    -------
    tuple
        Arguments of the architecture, the network, and the model that `init_from` names.

    Raises
    ------
    ConfigError
        Unknown architecture, one for another task, refused arguments, a size that it cannot take, or an `init_from` of
        another kind.
    CheckpointError
        `init_from` cannot be loaded.
    """
    model = config.model
    try:
        architecture = find_architecture(model.architecture)
        arguments = architecture.arguments.model_validate(model.arguments).model_dump()
    except ValidationError as error:
        raise ConfigError(f"model.arguments: {model.architecture!r} refuses {describe(error)}") from None
    except ValueError as error:
        raise ConfigError(f"model.architecture: {error}") from None
    task = task_of(config)
    if architecture.task != task:
        raise ConfigError(
            f"model.architecture: {model.architecture!r} is made for {architecture.task}, "
            f"objective {config.objective.name!r} trains for {task}"
        )
    channels = 3 if config.data.paired else 1
    if task == "translation" and arguments["input_channels"] != channels:
        inputs = "pairs are in colour" if config.data.paired else "prepared inputs are gray"
        raise ConfigError(f"model.arguments: input_channels must be {channels}: {inputs}")
    network = build_model(model.architecture, generator=torch_generator(config.seed, "weights"), **arguments)
    if config.data.size % network.multiple or config.data.size < network.minimum:
        raise ConfigError(
            f"data.size {config.data.size}: {model.architecture!r} needs a multiple of {network.multiple}, "
            f"at least {network.minimum}"
        )
    if model.init_from is None:
        return arguments, network, None
    initial = load_model(Path(model.init_from))
    said = (initial.card.architecture, _complete(initial.card))
    if said == (model.architecture, arguments):
        return arguments, initial.network, initial
    # Copying detail into the fill takes no weights.
    if said == (model.architecture, arguments | {"head": "residual"}) and arguments.get("head") == "detailed":
        network.load_state_dict(initial.network.state_dict())
        return arguments, network, initial
    raise ConfigError(
        f"model.init_from: {Path(model.init_from).name} is {initial.card.architecture} "
        f"{dict(initial.card.arguments)}, the configuration says {model.architecture} {arguments}"
    )


def task_of(config: TrainConfig) -> Literal["inpainting", "translation"]:
    """What the model is for."""
    return "translation" if translates(config) else "inpainting"


def overruled(config: TrainConfig, card: ModelCard) -> list[str]:
    """A sentence for each setting that is not followed, because the card of what is trained on decides it."""
    wanted = config.objective.prepare if isinstance(config.objective, Pix2PixConfig) else None
    found = []
    if wanted is not None and card.prepare is not None and wanted.reduction != card.prepare.reduction:
        found.append(
            f"objective.prepare.reduction {wanted.reduction} is not followed: the network goes on with inputs reduced "
            f"by {card.prepare.reduction}, which it was trained on"
        )
    # A residual head looks at no colour in the hole.
    looks = card.task == "inpainting" and card.arguments.get("head") not in SMOOTH_START_HEADS
    if looks and config.model.fill == "gray" and card.fill != GRAY:
        found.append("model.fill gray is not followed: the network goes on with holes in the colour it was trained on")
    return found


def make_card(
    config: TrainConfig, arguments: dict[str, Any], dataset: Dataset, initial: Model | None, saved: str | None
) -> ModelCard:
    """The card of the models that this training saves.

    Parameters
    ----------
    initial
        The model that the weights come from: it decides how the network is fed, but for the random changes of a
        translation's inputs while training.
    saved
        The card of the run that is resumed, as JSON: it decides before all, also when the pictures have changed since.
    """
    task = task_of(config)
    if saved is not None:
        fed_like: ModelCard | None = ModelCard.model_validate_json(saved)
    else:
        fed_like = initial.card if initial is not None else None
    if fed_like is not None:
        fill, value_range, prepare = fed_like.fill, fed_like.value_range, fed_like.prepare
        if saved is None and prepare is not None and isinstance(config.objective, Pix2PixConfig):
            varied = config.objective.prepare or prepare
            prepare = prepare.model_copy(update={"brightness": varied.brightness, "contrast": varied.contrast})
    else:
        fill = dataset.mean if config.model.fill == "mean" else GRAY
        default: ValueRange = "signed" if task == "translation" else "unit"
        corrects = arguments.get("head") in SMOOTH_START_HEADS
        value_range = default if corrects else VALUE_RANGES.get(config.model.architecture, default)
        prepare = input_settings(config, dataset)
    return ModelCard(
        architecture=config.model.architecture,
        arguments=arguments,
        task=task,
        value_range=value_range,
        fill=fill,
        prepare=prepare,
        trained_size=config.data.size,
        name=config.name,
        data=f"{len(dataset.train)} pictures of {Path(dataset.folder).name}",
        licence=config.licence,
    )


def _complete(card: ModelCard) -> dict[str, Any]:
    return find_architecture(card.architecture).arguments.model_validate(card.arguments).model_dump()
