"""One run folder for all processes of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..config import TrainConfig
from ..placement import Placement
from ..runs.folder import Resume, RunFolder, choose_folder
from ..runs.state import load_newest_state


def choose_together(
    placement: Placement, out: Path, resume: Resume, config: TrainConfig, wanted: Mapping[str, object], fingerprint: str
) -> RunFolder:
    """The first process decides by `training.runs.folder.choose_folder`, and all get its answer.

    Raises
    ------
    RunError
        See there; in all processes.
    """
    if placement.processes == 1:
        return choose_folder(out, resume, config, wanted, fingerprint)

    def choose() -> tuple[Path, str, Path | None, str]:
        folder = choose_folder(out, resume, config, wanted, fingerprint)
        return folder.path, folder.run, None if folder.state is None else folder.state.folder, folder.remark

    path, run, states, remark = placement.agree(choose)
    return RunFolder(path, None if states is None else load_newest_state(states), remark, run)
