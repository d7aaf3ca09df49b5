"""The folder of a run: which one to use, what it holds, what is written into it."""

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
from .lock import was_cut_off
from .state import SavedState, load_newest_state

Resume = Literal["unfinished", "same", "auto", "none"] | Path
"""What to do with a run that is already in the folder.

`"unfinished"`: go on with it if it was interrupted or more steps are wanted; when it is complete or does not fit, start
anew in the next free folder of the same name with a number. `"same"`: go on with it, complete or not, if its
configuration is this one (see `ASIDE`) and its pictures are these; when not, start anew as before. `"auto"`: go on with
it, or say that it is complete. `"none"`: start anew, in the next free folder if this one is taken. A path: go on with
that run.
"""

ASIDE: dict[str, Any] = {
    **dict.fromkeys(("name", "steps", "device", "preview_every", "checkpoint_every"), True),
    "data": {"folder", "workers", "cache_megabytes"},
}
"""What may differ between configurations that train the same model, further or elsewhere."""


class RunError(SettingError):
    """A run folder cannot be used; the message is one line."""


@dataclass(frozen=True)
class RunFolder:
    """Names inside a run folder, and what was found there.

    Attributes
    ----------
    state
        Where to go on from; None for a new run.
    remark
        A sentence on how the folder was chosen, empty where there is nothing to say.
    run
        Identifier of the run.
    """

    path: Path
    state: SavedState | None = None
    remark: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def resumed_here(self) -> bool:
        """The state was found in this very folder."""
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
        """What was found in the folder of pictures."""
        return self.path / "dataset_report.json"

    @property
    def summary(self) -> Path:
        """What came out."""
        return self.path / "summary.json"

    @property
    def filled(self) -> Path:
        """The picture that was trained on, repaired; of a training on a single picture."""
        return self.path / "filled.png"

    @property
    def lock(self) -> Path:
        """Held while a process trains here."""
        return self.path / "run.lock"

    @property
    def is_concluded(self) -> bool:
        """Whether its newest state was the end of a training: everything about it has been written and told."""
        if self.state is None or not self.resumed_here or was_cut_off(self.lock):
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
            It cannot be created or written, or holds links that lead out of it.
        """
        self._refuse_links()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.touch()
        except OSError as error:
            raise RunError(cannot_write(self.path, error)) from None

    def _refuse_links(self) -> None:
        top = Path(os.path.realpath(self.path))
        derived = (self.config, self.metrics, self.loss_plot, self.samples, self.model, self.states, self.report)
        for path in (*derived, self.summary, self.lock):
            if path.is_symlink() and top not in Path(os.path.realpath(path)).parents:
                raise RunError(f"{path}: a link that leads out of the run's folder; remove it, or choose another `out`")


def cannot_write(path: Path, error: OSError) -> str:
    """One sentence for an output folder that cannot be used."""
    return f"{path}: cannot write the run there ({error.strerror or error}); choose another `out`"


def check_writable(path: Path) -> None:
    """Refuse an output folder that can obviously not be made, without making anything.

    Raises
    ------
    RunError
        The nearest existing ancestor is no folder or is not writable.
    """
    existing = path
    try:
        while not existing.exists():
            existing = existing.parent
    except OSError as error:
        raise RunError(cannot_write(path, error)) from None
    if not existing.is_dir():
        raise RunError(f"{path}: cannot write the run there ({existing} is not a folder); choose another `out`")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RunError(f"{path}: cannot write the run there (no permission in {existing}); choose another `out`")


def check_apart(out: Path, data: Path, recursive: bool) -> None:
    """Refuse to write among the pictures that are read: they would be taken for some of them the next time.

    Raises
    ------
    RunError
        `out` is the folder of pictures, or lies where that is searched.
    """
    inner, outer = Path(os.path.realpath(out)), Path(os.path.realpath(data.expanduser()))
    if inner == outer or (recursive and outer in inner.parents):
        raise RunError(f"{out}: lies among the pictures of {data}, which it would mix with; choose another `out`")


def identity(config: TrainConfig, arguments: Mapping[str, object]) -> dict[str, object]:
    """What must be equal for a state to be usable."""
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
    """Decide where a run is written and what it goes on from; nothing is changed on disk.

    Parameters
    ----------
    out
        The folder asked for.
    resume
        See `Resume`.
    config
        What is wanted now.
    wanted
        What `identity` says about it.
    fingerprint
        Of the pictures.

    Raises
    ------
    RunError
        The state asked for does not exist or belongs to another kind of training.
    """
    if isinstance(resume, Path):
        state = load_newest_state(RunFolder(resume).states)
        if state is None:
            raise RunError(f"{resume}: holds no complete state to resume from")
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
            continue  # may lead anywhere, and only the folder that was asked for has been allowed
        state = first if number == 1 else load_newest_state(RunFolder(folder).states)
        if state is None:
            if number > 1:
                _check_foreign(folder)
            taken = f"{out} already holds a {'run' if first else 'folder'}: a new one starts in {folder}"
            return RunFolder(folder, None, taken if number > 1 else "")
        if resume == "none" or _misfit(state, wanted) or state.values.get("fingerprint") != fingerprint:
            continue
        found = RunFolder(folder, state, _resuming(folder, state, fingerprint), state.values["run"])
        if resume == "unfinished":
            # One that was ended before its summary was written is not complete, however many steps it has done.
            ended_early = state.step == config.steps and not found.is_concluded
            wanted_here = state.step < config.steps or ended_early
        else:
            wanted_here = _is_same(folder, config)
        if wanted_here:
            return found
    raise RunError(f"{out}: ten thousand runs of this name exist; choose another `out`")


def _resuming(folder: Path, state: SavedState, fingerprint: str) -> str:
    text = f"resuming {folder} at step {state.step}"
    if state.damaged:
        text += f" ({', '.join(state.damaged)} incomplete and passed over)"
    if state.values.get("fingerprint") != fingerprint:
        text += "; the pictures have changed since"
    return text


def _is_same(folder: Path, config: TrainConfig) -> bool:
    try:
        saved = load_recipe(RunFolder(folder).config)
    except ConfigError:
        return False
    return saved.model_dump(exclude=ASIDE) == config.model_dump(exclude=ASIDE)


def seed_of_same(out: Path, config: TrainConfig) -> int:
    """The seed of the newest run in `out` or beside it that `config` describes but for its seed; else that of `config`.

    For those who want to go on with a run whatever seed they would begin a new one with.
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
    """What a state says it is of, in today's words: former names, and arguments that its network did not have yet."""
    saved = dict(state.values.get("identity", {}))
    objective, architecture = saved.get("objective"), ARCHITECTURES.get(str(saved.get("architecture")))
    saved["objective"] = FORMER_NAMES.get(str(objective), objective)
    if architecture is not None:
        # What these refuse is left as it is, and then told as a misfit.
        with suppress(ValidationError):
            saved["arguments"] = architecture.arguments.model_validate(saved.get("arguments")).model_dump()
    return saved


def _misfit(state: SavedState, wanted: Mapping[str, object]) -> list[str]:
    saved = _identity_of(state)
    return [name for name, value in wanted.items() if saved.get(name) != value]


def _check_fit(folder: Path, state: SavedState, wanted: Mapping[str, object]) -> None:
    saved = _identity_of(state)
    misfit = _misfit(state, wanted)
    if misfit:
        name = misfit[0]
        raise RunError(
            f"{folder}: its run has {name} {saved.get(name)!r}, the configuration says {wanted[name]!r}; "
            "use the run's own config.yaml, or set `resume` to none"
        )


def _check_foreign(folder: Path) -> None:
    """A config.yaml that no run has written is somebody's file."""
    path = RunFolder(folder).config
    if path.exists():
        try:
            load_recipe(path)
        except ConfigError as error:
            raise RunError(
                f"{folder}: holds a config.yaml that is not a run's ({error}); choose another `out`"
            ) from None


def write_config(folder: RunFolder, config: TrainConfig) -> None:
    """Write the resolved configuration."""
    write_text(folder.config, dump_config(config))


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a small JSON file for people."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
