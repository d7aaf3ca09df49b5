"""Nodes that abstract pictures and translate them: Learning to See."""

from __future__ import annotations

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.translation import FITS, Fit, FrameTranslator, LiveControls, prepare, translate

from . import host

STRETCHES = ("none", "percentile", "clahe")
PREPARED = PrepareSettings(reduction=1)
"""Leaves an input that is already gray and abstracted as it is."""


class LearningToSeePrepare(io.ComfyNode):
    """Abstract pictures as in training, with the live controls."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Liminal_LearningToSeePrepare",
            display_name="Learning to See: Prepare",
            category="Liminal/learning to see",
            description="Makes the gray, soft picture that a Learning-to-See model is shown. Translate does this by "
            "itself; this node shows it, and changes it first.",
            inputs=[
                io.Image.Input("image", tooltip="Pictures or frames of any size."),
                host.LiminalModel.Input(
                    "model",
                    optional=True,
                    tooltip="Show what this model is shown: with its own reduction, size and contrast.",
                ),
                io.Int.Input(
                    "reduction",
                    default=24,
                    min=1,
                    max=128,
                    tooltip="Without a model: both sides are divided by this and enlarged again; 1 keeps every detail.",
                ),
                io.Combo.Input(
                    "contrast",
                    options=list(STRETCHES),
                    default="none",
                    tooltip="percentile: darkest and brightest become those of the training pictures, for dull light. "
                    "clahe: local contrast as well. One setting for all frames, so that nothing flickers.",
                ),
                io.Float.Input("zoom", default=1.0, min=0.25, max=8.0, step=0.05, tooltip="Above 1: closer."),
                io.Float.Input(
                    "shift_x", default=0.0, min=-1.0, max=1.0, step=0.01, tooltip="To the right, in parts of the width."
                ),
                io.Float.Input(
                    "shift_y", default=0.0, min=-1.0, max=1.0, step=0.01, tooltip="Down, in parts of the height."
                ),
                io.Int.Input(
                    "blur",
                    default=0,
                    min=0,
                    max=64,
                    tooltip="n: Gaussian blur of 2n+1 pixels.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "median",
                    default=0,
                    min=0,
                    max=32,
                    tooltip="n: median of 2n+1 pixels, against noise of the camera.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Darker than this becomes black.",
                    extra_dict=host.ADVANCED,
                ),
                io.Boolean.Input(
                    "edges", default=False, tooltip="Canny's edges instead of brightness.", extra_dict=host.ADVANCED
                ),
                io.Float.Input(
                    "edges_low",
                    default=100.0,
                    min=0.0,
                    max=1000.0,
                    step=1.0,
                    tooltip="Weaker gradients are no edges.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "edges_high",
                    default=200.0,
                    min=0.0,
                    max=1000.0,
                    step=1.0,
                    tooltip="Stronger gradients begin an edge.",
                    extra_dict=host.ADVANCED,
                ),
                io.Boolean.Input(
                    "invert", default=False, tooltip="Exchange black and white.", extra_dict=host.ADVANCED
                ),
            ],
            outputs=[
                io.Image.Output("IMAGE", tooltip="Gray pictures as large as those that came in."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        reduction: int,
        contrast: str,
        zoom: float,
        shift_x: float,
        shift_y: float,
        blur: int,
        median: int,
        threshold: float,
        edges: bool,
        edges_low: float,
        edges_high: float,
        invert: bool,
        model: host.HostedModel | None = None,
    ) -> io.NodeOutput:
        controls = LiveControls.model_validate(
            {
                "zoom": zoom,
                "shift_x": shift_x,
                "shift_y": shift_y,
                "blur": blur,
                "median": median,
                "threshold": threshold,
                "canny": (edges_low, edges_high) if edges else None,
                "invert": invert,
                "stretch": contrast,
            }
        )
        frames = host.image_planes(image)[:, :3].clamp(0.0, 1.0)
        if model is None:
            seen = prepare(frames, PrepareSettings(reduction=reduction), controls=controls)
        elif isinstance(model.model, TranslationModel):
            seen = FrameTranslator(model.model, controls=controls).look(frames)
        else:
            raise ValueError("this model fills holes: connect one that translates, or none")
        return io.NodeOutput(host.host_image(seen))


class LearningToSeeTranslate(io.ComfyNode):
    """Turn pictures into what a model was trained on."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Liminal_LearningToSeeTranslate",
            display_name="Learning to See: Translate",
            category="Liminal/learning to see",
            description="Turns pictures, a clip or what the camera shows into what a model was trained on.",
            inputs=[
                host.LiminalModel.Input("model", tooltip="A translation model, loaded or freshly trained."),
                io.Image.Input("image", tooltip="Pictures of any size, or the frames of a clip."),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    default="whole",
                    tooltip="whole: all of the picture. crop: the square in the middle, black around it. letterbox: "
                    "all of the picture inside a square.",
                ),
                io.Int.Input(
                    "size",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Shorter side in pixels that the network works at; larger values give smaller forms. "
                    "0: the size that it was trained on.",
                ),
                io.Float.Input(
                    "smooth_input",
                    default=0.0,
                    min=0.0,
                    max=0.95,
                    step=0.05,
                    tooltip="For clips: how much of the frame before is mixed into what the network sees. A cut starts "
                    "anew.",
                ),
                io.Float.Input(
                    "smooth_output",
                    default=0.0,
                    min=0.0,
                    max=0.95,
                    step=0.05,
                    tooltip="For clips: how much of the frame before is mixed into what it makes; 0.5 calms most "
                    "clips. A cut starts anew.",
                ),
                io.Int.Input(
                    "frames_per_batch",
                    default=8,
                    min=1,
                    max=256,
                    tooltip="Frames at once; fewer take less memory, the result is the same.",
                    extra_dict=host.ADVANCED,
                ),
                io.Boolean.Input(
                    "prepared",
                    default=False,
                    tooltip="The pictures come from Prepare and are shown to the network as they are.",
                    extra_dict=host.ADVANCED,
                ),
            ],
            outputs=[io.Image.Output("IMAGE", tooltip="As many pictures as came in, and as large.")],
        )

    @classmethod
    def execute(
        cls,
        model: host.HostedModel,
        image: Tensor,
        fit: Fit,
        size: int,
        smooth_input: float,
        smooth_output: float,
        frames_per_batch: int,
        prepared: bool,
    ) -> io.NodeOutput:
        frames = host.image_planes(image)
        translator = host.on_device(model, frames[:frames_per_batch], TranslationModel)
        progress = host.Progress(len(frames))

        def show(done: int, total: int) -> None:
            progress.update(done)
            progress.raise_if_cancelled()

        translated = translate(
            translator,
            frames,
            settings=PREPARED if prepared and translator.card.prepare is not None else None,
            fit=fit,
            size=size or None,
            smooth_input=smooth_input,
            smooth_output=smooth_output,
            frames_per_batch=frames_per_batch,
            progress=show,
        )
        return io.NodeOutput(host.host_image(translated))
