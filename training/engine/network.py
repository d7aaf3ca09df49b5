"""The network of a training run and the card of its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.errors import CheckpointError
from inpaint_core.checkpoints.files import load_model
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.checkpoints.weights import check_pass
from inpaint_core.models.architecture import Network
from inpaint_core.models.registry import build_model, find_architecture
from inpaint_core.validation import describe

from ..config import ConfigError, TrainConfig
from ..dataset.attribution import describe_sources
from ..dataset.scan import Dataset
from ..objectives import objective_class
from ..objectives.inpainting import GRAY
from ..objectives.objective import Model
from ..randomness import torch_generator


def build_network(config: TrainConfig) -> tuple[dict[str, Any], Network, Model | None]:
    """The network, freshly initialized or preloaded, with its complete arguments.

    Returns
    -------
    tuple
        Arguments of the architecture, the network, and the model named by `init_from`.

    Raises
    ------
    ConfigError
        Unknown architecture, an architecture for another task, invalid arguments, an unsupported size, or an
        `init_from` that does not match.
    CheckpointError
        `init_from` cannot be loaded.
    """
    model = config.model
    try:
        architecture = find_architecture(model.architecture)
        arguments = architecture.complete(model.arguments)
    except ValidationError as error:
        raise ConfigError(f"{model.architecture!r}: {describe(error)}", "model.arguments") from None
    except ValueError as error:
        raise ConfigError(str(error), "model.architecture") from None
    task = config.objective.task
    if architecture.task != task:
        raise ConfigError(
            f"{model.architecture!r} is for {architecture.task}, but objective {config.objective.name!r} is for {task}",
            "model.architecture",
        )
    if architecture.learns != config.objective.learns:
        raise ConfigError(
            f"{model.architecture!r} learns by {architecture.learns}, but objective {config.objective.name!r} is for "
            f"networks that learn by {config.objective.learns}",
            "model.architecture",
        )
    channels = 3 if config.data.paired else 1
    if task == "translation" and architecture.input_channels(arguments) != channels:
        inputs = "pairs are in color" if config.data.paired else "prepared inputs are gray"
        raise ConfigError(f"input_channels must be {channels}: {inputs}", "model.arguments")
    network = build_model(model.architecture, generator=torch_generator(config.seed, "weights"), **arguments)
    if config.data.size % network.multiple or config.data.size < network.minimum:
        raise ConfigError(
            f"{config.data.size} was given, but {model.architecture!r} needs a multiple of {network.multiple}, at "
            f"least {network.minimum}",
            "data.size",
        )
    if model.init_from is None:
        return arguments, network, None
    initial = load_model(Path(model.init_from))
    said = (initial.card.architecture, _complete(initial.card))
    if said == (model.architecture, arguments):
        return arguments, initial.network, initial
    if _weights(*said) == _weights(model.architecture, arguments):
        network.load_state_dict(initial.network.state_dict())
        return arguments, network, initial
    raise ConfigError(
        f"{Path(model.init_from).name} is {initial.card.architecture} {dict(initial.card.arguments)}, but the "
        f"configuration has {model.architecture} {arguments}",
        "model.init_from",
    )


def _weights(architecture: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What determines a network's weights: copying detail into a fill needs none."""
    said = dict(arguments)
    if find_architecture(architecture).refines(arguments):
        said |= {"head": None, "detail_share": None}
    return architecture, said


def check_cost(card: ModelCard, network: Network) -> None:
    """Reject, before it starts, a training run whose model `load_model` would reject for the cost of a pass.

    Raises
    ------
    ConfigError
        The message explains how to raise the limit.
    """
    model = TranslationModel(card, network) if card.task == "translation" else InpaintingModel(card, network)
    try:
        check_pass(card.name, card, model)
    except CheckpointError as error:
        raise ConfigError(str(error), "data.size") from None


def ignored_settings(config: TrainConfig, card: ModelCard) -> list[str]:
    """A message for each setting that is ignored because the card of the initial model determines it."""
    return objective_class(config).ignored_settings(config, card)


def make_card(
    config: TrainConfig, arguments: dict[str, Any], dataset: Dataset, initial: Model | None, saved: str | None
) -> ModelCard:
    """The card of the models saved by this training run.

    Parameters
    ----------
    initial
        The model that provided the weights: it determines how the input is prepared, except for the random variation of
        a translation's inputs in training.
    saved
        The card of the resumed run, as JSON: it takes precedence over everything, even if the pictures have changed
        since.
    """
    if saved is not None:
        fed_like: ModelCard | None = ModelCard.model_validate_json(saved)
    else:
        fed_like = initial.card if initial is not None else None
    if fed_like is not None:
        fill, value_range, prepare = fed_like.fill, fed_like.value_range, fed_like.prepare
        if saved is None and prepare is not None:
            prepare = objective_class(config).input_settings(config, dataset, prepare)
    else:
        fill = dataset.mean if config.model.fill == "mean" else GRAY
        value_range = find_architecture(config.model.architecture).value_range_of(arguments)
        prepare = objective_class(config).input_settings(config, dataset, None)
    trained_size = config.data.size
    if fed_like is not None and config.objective.task == "inpainting":
        # Fine-tuning on smaller crops does not unlearn larger holes, so the windows may stay as large.
        trained_size = max(trained_size, fed_like.trained_size)
    return ModelCard(
        architecture=config.model.architecture,
        arguments=arguments,
        task=config.objective.task,
        value_range=value_range,
        fill=fill,
        prepare=prepare,
        trained_size=trained_size,
        name=config.name,
        data=_summary(dataset),
        licence=config.licence,
    )


def _summary(dataset: Dataset) -> str:
    sources = describe_sources(dataset.credits)
    return f"{len(dataset.train)} pictures of {Path(dataset.folder).name}" + (f" ({sources})" if sources else "")


def _complete(card: ModelCard) -> dict[str, Any]:
    return find_architecture(card.architecture).complete(card.arguments)
