"""The folder of a run: choosing it, its contents, and writing to it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from inpaint_core.files.atomic import write_text
from inpaint_core.models.registry import ARCHITECTURES

from ..config import FORMER_NAMES, ConfigError, TrainConfig, dump_config, load_recipe
from ..errors import SettingError
from .lock import was_interrupted
from .state import SavedState, load_newest_state

Resume = Literal["unfinished", "same", "auto", "none"] | Path
"""What to do with an existing run in the folder.

`"unfinished"`: resume it if it was interrupted or has fewer steps than requested; if it is complete or does not match,
start a new run in the next free folder, with a number appended to the name. `"same"`: resume it, complete or not, if it
has this configuration (see `ASIDE`) and these pictures; otherwise start a new run as above. `"auto"`: resume it, or
report that it is complete. `"none"`: start a new run, in the next free folder if this one is taken. A path: resume that
run.
"""

ASIDE: dict[str, Any] = {
    **dict.fromkeys(("name", "steps", "device", "preview_every", "checkpoint_every"), True),
    "data": {"folder", "workers", "cache_megabytes"},
}
"""Fields that may differ between configurations of the same run, so that it can be trained further or elsewhere."""


class RunError(SettingError):
    """A run folder cannot be used; the message is one line."""


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run folder, and its state.

    Attributes
    ----------
    state
        The state to resume from; None for a new run.
    message
        A message on how the folder was chosen; may be empty.
    run
        Identifier of the run.
    """

    path: Path
    state: SavedState | None = None
    message: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def resumed_here(self) -> bool:
        """Whether the state was found in this folder itself."""
        return self.state is not None and self.state.folder == self.states

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object per step."""
        return self.path / "metrics.jsonl"

    @property
    def loss_plot(self) -> Path:
        """Losses over the steps."""
        return self.path / "loss.png"

    @property
    def samples(self) -> Path:
        """Folder of contact sheets."""
        return self.path / "samples"

    @property
    def model(self) -> Path:
        """The best model so far."""
        return self.path / "model.safetensors"

    @property
    def states(self) -> Path:
        """Folder of states for resuming."""
        return self.path / "state"

    @property
    def report(self) -> Path:
        """Report on the folder of pictures."""
        return self.path / "dataset_report.json"

    @property
    def summary(self) -> Path:
        """Summary of the result."""
        return self.path / "summary.json"

    @property
    def filled(self) -> Path:
        """The repaired picture, for training on a single picture."""
        return self.path / "filled.png"

    @property
    def lock(self) -> Path:
        """Locked while a process trains here."""
        return self.path / "run.lock"

    @property
    def is_concluded(self) -> bool:
        """Whether its newest state belongs to a training run that was completely written and reported."""
        if self.state is None or not self.resumed_here or was_interrupted(self.lock):
            return False
        try:
            summary = json.loads(self.summary.read_text(encoding="utf-8"))
            return bool(summary["steps"] == self.state.step and not summary["interrupted"])
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def make(self) -> None:
        """Create the folder.

        Raises
        ------
        RunError
            It cannot be created or written, or contains links that point outside it.
        """
        self._reject_links()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.touch()
        except OSError as error:
            raise RunError(cannot_write(self.path, error)) from None

    def _reject_links(self) -> None:
        top = Path(os.path.realpath(self.path))
        derived = (self.config, self.metrics, self.loss_plot, self.samples, self.model, self.states, self.report)
        for path in (*derived, self.summary, self.lock):
            if path.is_symlink() and top not in Path(os.path.realpath(path)).parents:
                raise RunError(f"{path}: this link points outside the run folder; remove it, or choose another `out`")


def cannot_write(path: Path, error: OSError) -> str:
    """Message for an unusable output folder."""
    return f"{path}: cannot be written ({error.strerror or error}); choose another `out`"


def check_writable(path: Path) -> None:
    """Reject an output folder that obviously cannot be created, without creating anything.

    Raises
    ------
    RunError
        The nearest existing ancestor is not a folder or not writable.
    """
    existing = path
    try:
        while not existing.exists():
            existing = existing.parent
    except OSError as error:
        raise RunError(cannot_write(path, error)) from None
    if not existing.is_dir():
        raise RunError(f"{path}: cannot be written ({existing} is not a folder); choose another `out`")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RunError(f"{path}: cannot be written (no permission in {existing}); choose another `out`")


def check_outside(out: Path, data: Path, recursive: bool) -> None:
    """Refuse to write among the input pictures, where outputs would be mistaken for inputs the next time.

    Raises
    ------
    RunError
        `out` is the folder of pictures, or inside it where it is searched.
    """
    inner, outer = Path(os.path.realpath(out)), Path(os.path.realpath(data.expanduser()))
    if inner == outer or (recursive and outer in inner.parents):
        raise RunError(f"{out}: is among the pictures of {data}, so outputs would mix with them; choose another `out`")


def identity(config: TrainConfig, arguments: Mapping[str, object]) -> dict[str, object]:
    """Values that must be equal for a state to be usable."""
    return {
        "architecture": config.model.architecture,
        "arguments": dict(arguments),
        "objective": config.objective.name,
        "optimizer": config.optimizer.name,
        "ema": config.optimizer.ema is not None,
    }


def choose_folder(
    out: Path, resume: Resume, config: TrainConfig, wanted: Mapping[str, object], fingerprint: str
) -> RunFolder:
    """Decide where a run is written and which state it resumes; changes nothing on disk.

    Parameters
    ----------
    out
        The requested folder.
    resume
        See `Resume`.
    config
        The current configuration.
    wanted
        Its `identity`.
    fingerprint
        Fingerprint of the pictures.

    Raises
    ------
    RunError
        The requested state does not exist or belongs to another kind of training.
    """
    if isinstance(resume, Path):
        state = load_newest_state(RunFolder(resume).states)
        if state is None:
            raise RunError(f"{resume}: contains no complete state to resume from")
        _check_fit(resume, state, wanted)
        return RunFolder(out, state, _resuming(resume, state, fingerprint), state.values["run"])
    _check_foreign(out)
    first = load_newest_state(RunFolder(out).states)
    if resume == "auto":
        if first is None:
            return RunFolder(out)
        _check_fit(out, first, wanted)
        return RunFolder(out, first, _resuming(out, first, fingerprint), first.values["run"])
    for number in range(1, 10_000):
        folder = out if number == 1 else out.with_name(f"{out.name}-{number}")
        if number > 1 and folder.is_symlink():
            continue  # may point anywhere, but only the requested folder was allowed
        state = first if number == 1 else load_newest_state(RunFolder(folder).states)
        if state is None:
            if number > 1:
                _check_foreign(folder)
            taken = f"{out} already contains a {'run' if first else 'folder'}; starting a new one in {folder}"
            return RunFolder(folder, None, taken if number > 1 else "")
        if resume == "none" or _misfit(state, wanted) or state.values.get("fingerprint") != fingerprint:
            continue
        found = RunFolder(folder, state, _resuming(folder, state, fingerprint), state.values["run"])
        if resume == "unfinished":
            # A run that ended before its summary was written is not complete, however many steps it has done.
            ended_early = state.step == config.steps and not found.is_concluded
            wanted_here = state.step < config.steps or ended_early
        else:
            wanted_here = _is_same(folder, config)
        if wanted_here:
            return found
    raise RunError(f"{out}: there are already ten thousand runs with this name; choose another `out`")


def _resuming(folder: Path, state: SavedState, fingerprint: str) -> str:
    text = f"resuming {folder} at step {state.step}"
    if state.damaged:
        text += f" ({', '.join(state.damaged)} incomplete and skipped)"
    if state.values.get("fingerprint") != fingerprint:
        text += "; the pictures have changed since"
    return text


def _is_same(folder: Path, config: TrainConfig) -> bool:
    try:
        saved = load_recipe(RunFolder(folder).config)
    except ConfigError:
        return False
    return saved.model_dump(exclude=ASIDE) == config.model_dump(exclude=ASIDE)


def seed_of_matching_run(out: Path, config: TrainConfig) -> int:
    """The seed of the newest run in `out` or next to it that matches `config` except for the seed; otherwise that of
    `config`.

    Used to resume a run regardless of the seed that a new one would have.
    """
    aside: dict[str, Any] = {**ASIDE, "seed": True}
    seeds: list[int] = []
    for number in range(1, 10_000):
        folder = out if number == 1 else out.with_name(f"{out.name}-{number}")
        if not folder.is_dir():
            break
        if number > 1 and folder.is_symlink():
            continue
        try:
            saved = load_recipe(RunFolder(folder).config)
        except ConfigError:
            continue
        if saved.model_dump(exclude=aside) == config.model_dump(exclude=aside):
            seeds.append(saved.seed)
    return seeds[-1] if seeds and config.seed not in seeds else config.seed


def _identity_of(state: SavedState) -> dict[str, object]:
    """The identity stored in a state, updated from former names and completed with arguments added since."""
    saved = dict(state.values.get("identity", {}))
    objective, architecture = saved.get("objective"), ARCHITECTURES.get(str(saved.get("architecture")))
    saved["objective"] = FORMER_NAMES.get(str(objective), objective)
    if architecture is not None:
        # Invalid values are left unchanged, and then reported as a mismatch.
        with suppress(ValidationError):
            saved["arguments"] = architecture.arguments.model_validate(saved.get("arguments")).model_dump()
    return saved


def _misfit(state: SavedState, wanted: Mapping[str, object]) -> dict[str, object]:
    """The values of a state that differ from `wanted`, by name."""
    saved = _identity_of(state)
    return {name: saved.get(name) for name, value in wanted.items() if saved.get(name) != value}


def _check_fit(folder: Path, state: SavedState, wanted: Mapping[str, object]) -> None:
    for name, saved in _misfit(state, wanted).items():
        raise RunError(
            f"{folder}: the run has {name} {saved!r}, but the configuration has {wanted[name]!r}; use the run's own "
            "config.yaml, or set `resume` to none"
        )


def _check_foreign(folder: Path) -> None:
    """Reject a folder with a config.yaml that was not written by a run."""
    path = RunFolder(folder).config
    if path.exists():
        try:
            load_recipe(path)
        except ConfigError as error:
            raise RunError(
                f"{folder}: contains a config.yaml that is not from a run ({error}); choose another `out`"
            ) from None


def write_config(folder: RunFolder, config: TrainConfig) -> None:
    """Write the resolved configuration."""
    write_text(folder.config, dump_config(config))


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a small human-readable JSON file."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
