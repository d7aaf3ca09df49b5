"""Agreement on one run folder by all processes of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..config import TrainConfig
from ..placement import Placement
from ..runs.folder import Resume, RunFolder, choose_folder
from ..runs.state import load_newest_state


def choose_together(
    placement: Placement, out: Path, resume: Resume, config: TrainConfig, wanted: Mapping[str, object], fingerprint: str
) -> tuple[RunFolder, bool]:
    """Let the first process decide with `training.runs.folder.choose_folder`, and give all processes its answer.

    Returns
    -------
    tuple of RunFolder and bool
        The folder, and whether the run in it is complete.

    Raises
    ------
    RunError
        As `choose_folder`, in all processes.
    """
    if placement.processes == 1:
        folder = choose_folder(out, resume, config, wanted, fingerprint)
        return folder, folder.is_concluded

    def choose() -> tuple[Path, str, Path | None, str, bool]:
        folder = choose_folder(out, resume, config, wanted, fingerprint)
        states = None if folder.state is None else folder.state.folder
        return folder.path, folder.run, states, folder.message, folder.is_concluded

    path, run, states, message, concluded = placement.agree(choose)
    return RunFolder(path, None if states is None else load_newest_state(states), message, run), concluded
