"""A node that compares fills with the ground truth."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.batches import paired
from inpaint_core.files.images import from_bytes
from inpaint_core.inpainting.classical import CLASSICAL_METHODS, ClassicalFill
from inpaint_core.inpainting.inpaint import DETAILS, STRATEGIES, Completer, Detail, Strategy, inpaint

from . import host, shown
from .inpaint import DETAIL_TOOLTIP, INVERT_TOOLTIP, MASK_TOOLTIP

if TYPE_CHECKING:
    from ..training.evaluation.methods import Scores

MODELS = ("model_1", "model_2", "model_3", "model_4")


class EvaluateModel(io.ComfyNode):
    """Compare networks and classical fills on complete pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_EvaluateModel",
            display_name="Evaluate / Compare",
            category="Liminal/models",
            description="Cuts holes into complete pictures, fills them with each model and classical fill, and "
            "measures how close each fill is to the original.",
            inputs=[
                host.LiminalModel.Input("model_1", tooltip="An inpainting model, loaded or freshly trained."),
                io.Image.Input(
                    "image", tooltip="Complete pictures: the ground truth. The models never see what is in the holes."
                ),
                io.Mask.Input("mask", tooltip=MASK_TOOLTIP),
                io.Boolean.Input(
                    "telea",
                    default=True,
                    tooltip="Include Telea's method, which continues the surroundings into the hole (OpenCV).",
                ),
                io.Boolean.Input(
                    "navier_stokes",
                    default=True,
                    tooltip="Include the Navier-Stokes method, which continues lines of equal brightness (OpenCV).",
                ),
                io.Boolean.Input("mean", default=False, tooltip="Include the mean color of the known pixels."),
                io.Boolean.Input(
                    "biharmonic",
                    default=False,
                    tooltip="Include the biharmonic fill, the smoothest surface; slow for large holes.",
                ),
                io.Combo.Input(
                    "strategy",
                    options=list(STRATEGIES),
                    default="auto",
                    tooltip="What the network sees of a picture; see Inpaint. Papers usually use whole.",
                ),
                io.Int.Input(
                    "rows",
                    default=4,
                    min=1,
                    max=32,
                    tooltip="Maximum number of pictures shown in the grid; all pictures are measured.",
                ),
                io.Boolean.Input("invert_mask", default=False, tooltip=INVERT_TOOLTIP, extra_dict=host.ADVANCED),
                io.Boolean.Input(
                    "smooth", default=True, tooltip="Include the smooth fill, which the bundled networks start from."
                ),
                *(
                    host.LiminalModel.Input(name, optional=True, tooltip="Another inpainting model to compare.")
                    for name in MODELS[1:]
                ),
                io.Boolean.Input(
                    "patches",
                    default=False,
                    optional=True,
                    tooltip="Include patches copied from the surroundings. Slower.",
                ),
                io.Combo.Input(
                    "detail", options=list(DETAILS), default="network", optional=True, tooltip=DETAIL_TOOLTIP
                ),
            ],
            outputs=[
                io.String.Output(
                    "table",
                    tooltip="One line per model and fill: mean L1, PSNR and SSIM over the whole picture and over the "
                    "hole only, and the median time per picture.",
                ),
                io.Image.Output("grid", tooltip="The input with its hole, every fill, and the original, side by side."),
            ],
        )
        return host.searchable(schema, "compare", "evaluate", "psnr", "ssim", "benchmark")

    @classmethod
    def execute(
        cls,
        model_1: host.HostedModel,
        image: Tensor,
        mask: Tensor,
        telea: bool,
        navier_stokes: bool,
        mean: bool,
        biharmonic: bool,
        strategy: Strategy,
        rows: int,
        invert_mask: bool,
        smooth: bool,
        model_2: host.HostedModel | None = None,
        model_3: host.HostedModel | None = None,
        model_4: host.HostedModel | None = None,
        patches: bool = False,
        detail: Detail = "network",
    ) -> io.NodeOutput:
        # Imported late: only this needs them, and every import delays the host's start.
        from ..training.evaluation.drawings import draw_grid, with_hole
        from ..training.evaluation.methods import unique
        from ..training.evaluation.report import short_table, summarize

        colors = host.image_planes(image)[:, :3]
        holes = host.hole_planes(mask, colors, invert=invert_mask)
        truth, hole = paired(colors.expand(-1, 3, -1, -1), holes, ("images", "masks"))
        if not hole.any():
            raise ValueError("the mask has no holes, so there is nothing to measure; connect a mask with holes")
        models = [model for model in (model_1, model_2, model_3, model_4) if model is not None]
        chosen = {
            "mean": mean,
            "smooth": smooth,
            "telea": telea,
            "navier-stokes": navier_stokes,
            "biharmonic": biharmonic,
            "patches": patches,
        }
        classical = [method for method in CLASSICAL_METHODS if chosen[method]]
        names = unique([model.name for model in models] + classical)

        bar = host.Progress(len(names) * len(truth))
        measured, columns = [], []
        for number, name in enumerate(names):
            completer: Completer
            if number < len(models):
                completer = host.inpainter(models[number], truth[:1])
            else:
                completer = ClassicalFill(classical[number - len(models)])
            chosen_detail: Detail = detail if number < len(models) else "network"
            scores, seconds, fills = fill_and_measure(
                completer, truth, hole, strategy, chosen_detail, bar, number * len(truth)
            )
            summary = summarize(scores, 1, len(scores))[1][-1]
            measured.append({"name": name, "seconds": statistics.median(seconds), "summary": summary})
            columns.append(fills[:rows])
        pictures = [with_hole(*pair) for pair in zip(truth[:rows], hole[:rows], strict=True)]
        compared = zip(pictures, *columns, truth[:rows], strict=True)
        grid = draw_grid(["input", *names, "truth"], [("", row) for row in compared])
        planes = from_bytes(np.array(grid))[None]
        return io.NodeOutput(short_table(measured), host.host_image(planes), ui=shown.pictures(planes))


def fill_and_measure(
    completer: Completer,
    truth: Tensor,
    hole: Tensor,
    strategy: Strategy,
    detail: Detail,
    bar: host.Progress,
    done: int,
) -> tuple[list[Scores], list[float], list[Tensor]]:
    """Fill pictures one by one.

    Parameters
    ----------
    truth, hole
        `[B,3,H,W]` and `[B,1,H,W]`.
    bar, done
        Progress bar, advanced from `done` by one per picture.

    Returns
    -------
    tuple
        Scores, seconds and the filled picture `[3,H,W]` for each.

    Raises
    ------
    InterruptProcessingException
        Cancel was pressed.
    """
    from ..training.evaluation.methods import score

    scores, seconds, fills = [], [], []
    for number in range(len(truth)):
        one = slice(number, number + 1)
        start = time.perf_counter()
        filled = inpaint(
            completer,
            truth[one],
            hole[one],
            strategy,
            feather=0,
            detail=detail,
            progress=lambda *_: bar.raise_if_cancelled(),
        )
        seconds.append(time.perf_counter() - start)
        scores += score(filled, truth[one], hole[one])
        fills.append(filled[0])
        bar.update(done + number + 1)
        bar.raise_if_cancelled()
    return scores, seconds, fills
