"""Grids of training runs: a base, and axes whose levels are changes to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from inpaint_core.validation import describe

from ..config import ConfigError, Section, TrainConfig, load_recipe, parse_config, read_recipe
from ..engine.network import build_network
from ..layers import layered

SWEEP_FOLDER = Path(__file__).parent
MAX_RUNS = 10_000
# They identify the run and are not varied by axes.
NOT_VARIED = ("name", "seed", "trackers")

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+]*$", max_length=40)]
Changes = dict[str, Any]


class TestConfig(Section):
    """Test crops with holes, the same for every model; used neither in training nor to choose the best step.

    Crops and holes follow the base, regardless of what an axis changes.
    """

    __test__ = False  # not a pytest test

    share: float = Field(0.15, gt=0.0, le=0.5)
    """Fraction of the pictures, chosen by their content."""
    samples: int = Field(64, ge=1, le=4096)


class SweepConfig(Section):
    """A sweep: every combination of one level per axis is trained with every seed."""

    name: str = Field("sweep", min_length=1, max_length=100)
    recipe: str | None = Field(None, max_length=4096)
    """A recipe that the base modifies; None: the defaults of a training run."""
    base: Changes = Field(default_factory=dict)
    axes: dict[Label, dict[Label, Changes]] = Field(min_length=1, max_length=10)
    """Axes by name; levels by name; fields of a training run that the level sets."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**64)], ...] = Field((0, 1), min_length=1, max_length=1000)
    """Each combination is trained once with each of these."""
    test: TestConfig = TestConfig()

    @model_validator(mode="after")
    def _check(self) -> SweepConfig:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must be unique")
        for axis, levels in self.axes.items():
            if not levels:
                raise ValueError(f"axes.{axis}: no levels")
            for level, changes in levels.items():
                taken = [name for name in NOT_VARIED if name in changes]
                if taken:
                    raise ValueError(f"axes.{axis}.{level}: {taken[0]} cannot be varied here (see seeds)")
        fields = {
            axis: {leaf for changes in levels.values() for leaf in _leaves(changes)}
            for axis, levels in self.axes.items()
        }
        for (first, some), (second, others) in combinations(fields.items(), 2):
            both = sorted(some & others)
            if both:
                raise ValueError(f"axes {first} and {second} both set {both[0]}")
        runs = len(self.seeds)
        for levels in self.axes.values():
            runs *= len(levels)
        if runs > MAX_RUNS:
            raise ValueError(f"axes: {runs} runs, but at most {MAX_RUNS} are accepted")
        return self


@dataclass(frozen=True)
class Combination:
    """One run of a sweep.

    Attributes
    ----------
    name
        Name of its run folder.
    levels
        Level by axis.
    seed
        The seed.
    config
        Configuration of the training run.
    """

    name: str
    levels: dict[str, str]
    seed: int
    config: TrainConfig


@dataclass(frozen=True)
class Sweep:
    """A checked sweep.

    Attributes
    ----------
    config
        The configuration as read.
    base
        The training run that the axes modify.
    runs
        All combinations, ordered by seed.
    """

    config: SweepConfig
    base: TrainConfig
    runs: tuple[Combination, ...]


def read_sweep(name: str | Path) -> dict[str, object]:
    """Values of a sweep: the path of a YAML file, or the name of a bundled one.

    Raises
    ------
    ConfigError
        No such file, or not a YAML mapping.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = sorted(file.stem for file in SWEEP_FOLDER.glob("*.yaml"))
        if str(name) not in known:
            raise ConfigError(f"no sweep {str(name)!r}: use a .yaml file or one of {', '.join(known)}")
        path = SWEEP_FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    return read_recipe(path)


def make_sweep(values: Mapping[str, object], data: str | None = None, steps: int | None = None) -> Sweep:
    """Check a sweep and every training run in it.

    Parameters
    ----------
    values
        The values read from YAML.
    data
        Folder of pictures, instead of the base's.
    steps
        Steps of every run, instead of the base's.

    Raises
    ------
    ConfigError
        The message is one line that states what is wrong, and in which combination.
    """
    try:
        config = SweepConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"sweep: {describe(error)}") from None
    recipe = TrainConfig() if config.recipe is None else load_recipe(config.recipe)
    start = layered(recipe.model_dump(mode="json"), config.base)
    if data is not None:
        start = layered(start, {"data": {"folder": data}})
    if steps is not None:
        start = {**start, "steps": steps}
    base = parse_config(start)
    runs = []
    for seed in config.seeds:
        for chosen in product(*([(axis, level) for level in levels] for axis, levels in config.axes.items())):
            changed: Mapping[str, Any] = start
            for axis, level in chosen:
                changed = layered(changed, config.axes[axis][level])
            if steps is not None:
                changed = {**changed, "steps": steps}
            name = "-".join([*(level for _, level in chosen), str(seed)])
            runs.append(Combination(name, dict(chosen), seed, _training(changed, name, seed)))
    return Sweep(config, base, tuple(runs))


def _training(values: Mapping[str, Any], name: str, seed: int) -> TrainConfig:
    try:
        config = parse_config({**values, "name": name[:100], "seed": seed, "trackers": ()})
        if config.objective.task != "inpainting":
            raise ConfigError(
                f"objective {config.objective.name} trains a translation model, but a sweep can only evaluate "
                f"inpainting"
            )
        if config.data.picture is not None:
            raise ConfigError(
                "data.picture: a sweep needs a folder of pictures, because some are held out for measurement"
            )
        build_network(config)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    return config


def _leaves(changes: Mapping[str, Any], path: str = "") -> list[str]:
    found = []
    for key, value in changes.items():
        if isinstance(value, Mapping) and key != "arguments":
            found += _leaves(value, f"{path}{key}.")
        else:
            found.append(path + str(key))
    return found
