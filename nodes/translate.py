"""Learning to See: nodes that abstract pictures and translate them."""

from __future__ import annotations

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.translation import FITS, Fit, FrameTranslator, LiveControls, prepare, translate

from . import host, shown

STRETCHES = ("none", "percentile", "clahe")
PREPARED = PrepareSettings(reduction=1)
"""Leaves inputs that are already gray and abstracted unchanged."""


class LearningToSeePrepare(io.ComfyNode):
    """Abstract pictures as in training, with live controls."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_LearningToSeePrepare",
            display_name="Learning to See: Prepare",
            category="Liminal/learning to see",
            description="Makes the soft gray picture that a Learning to See model receives. Translate does this "
            "itself; use this node to view or adjust the picture.",
            inputs=[
                io.Image.Input("image", tooltip="Pictures or frames of any size."),
                host.LiminalModel.Input(
                    "model",
                    optional=True,
                    tooltip="Prepare pictures for this model, with its own reduction, size and contrast.",
                ),
                io.Int.Input(
                    "reduction",
                    default=24,
                    min=1,
                    max=128,
                    tooltip="Used without a model: the picture is reduced by this factor and enlarged again. 1 keeps "
                    "every detail.",
                ),
                io.Combo.Input(
                    "contrast",
                    options=list(STRETCHES),
                    default="none",
                    tooltip="percentile: stretch the tonal range to that of the training pictures, for low-contrast "
                    "input. clahe: also equalize local contrast. All frames are stretched in the same way, to avoid "
                    "flicker.",
                ),
                io.Float.Input("zoom", default=1.0, min=0.25, max=8.0, step=0.05, tooltip="Above 1: zoom in."),
                io.Float.Input(
                    "shift_x",
                    default=0.0,
                    min=-1.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Shift to the right, as a fraction of the width.",
                ),
                io.Float.Input(
                    "shift_y",
                    default=0.0,
                    min=-1.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Shift down, as a fraction of the height.",
                ),
                io.Int.Input(
                    "blur",
                    default=0,
                    min=0,
                    max=64,
                    tooltip="Gaussian blur with a kernel of 2n+1 pixels.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "median",
                    default=0,
                    min=0,
                    max=32,
                    tooltip="Median filter of 2n+1 pixels, against camera noise.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Anything darker becomes black.",
                    extra_dict=host.ADVANCED,
                ),
                io.Boolean.Input(
                    "edges", default=False, tooltip="Use Canny edges instead of brightness.", extra_dict=host.ADVANCED
                ),
                io.Float.Input(
                    "edges_low",
                    default=100.0,
                    min=0.0,
                    max=1000.0,
                    step=1.0,
                    tooltip="Gradients weaker than this are never edges.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "edges_high",
                    default=200.0,
                    min=0.0,
                    max=1000.0,
                    step=1.0,
                    tooltip="Gradients stronger than this start an edge.",
                    extra_dict=host.ADVANCED,
                ),
                io.Boolean.Input("invert", default=False, tooltip="Swap black and white.", extra_dict=host.ADVANCED),
            ],
            outputs=[
                io.Image.Output("IMAGE", tooltip="Gray pictures, at the input's size."),
            ],
        )
        return host.searchable(schema, "learning to see", "pix2pix", "edges", "abstract")

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
            seen = FrameTranslator(model.model, controls=controls).prepare_input(frames)
        else:
            raise ValueError("this is an inpainting model; connect a translation model, or nothing")
        return io.NodeOutput(host.host_image(seen), ui=shown.pictures(seen))


class LearningToSeeTranslate(io.ComfyNode):
    """Translate pictures with a model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_LearningToSeeTranslate",
            display_name="Learning to See: Translate",
            category="Liminal/learning to see",
            description="Redraws pictures, a clip or webcam images in the style of the model's training pictures.",
            inputs=[
                host.LiminalModel.Input("model", tooltip="A translation model, loaded or freshly trained."),
                io.Image.Input("image", tooltip="Pictures of any size, or the frames of a clip."),
                io.Combo.Input(
                    "fit",
                    options=list(FITS),
                    default="whole",
                    tooltip="whole: the full picture. crop: the central square, with black around it. letterbox: the "
                    "full picture inside a square.",
                ),
                io.Int.Input(
                    "size",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Shorter side in pixels at which the network works; larger values give smaller shapes. 0: "
                    "the training size.",
                ),
                io.Float.Input(
                    "smooth_input",
                    default=0.0,
                    min=0.0,
                    max=0.95,
                    step=0.05,
                    tooltip="For clips: how much of the previous frame is blended into the input. Restarts at every "
                    "cut.",
                ),
                io.Float.Input(
                    "smooth_output",
                    default=0.0,
                    min=0.0,
                    max=0.95,
                    step=0.05,
                    tooltip="For clips: how much of the previous frame is blended into the output. 0.5 removes most "
                    "flicker. Restarts at every cut.",
                ),
                io.Int.Input(
                    "frames_per_batch",
                    default=8,
                    min=1,
                    max=256,
                    tooltip="Frames per batch. Fewer need less memory.",
                    extra_dict=host.ADVANCED,
                ),
                io.Boolean.Input(
                    "prepared",
                    default=False,
                    tooltip="The pictures come from Prepare and go to the network unchanged.",
                    extra_dict=host.ADVANCED,
                ),
            ],
            outputs=[io.Image.Output("IMAGE", tooltip="One picture per input picture, at the same size.")],
        )
        return host.searchable(schema, "learning to see", "pix2pix", "image to image", "webcam", "live")

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
        translator = host.translator(model, frames[:frames_per_batch])
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
        return io.NodeOutput(host.host_image(translated), ui=shown.pictures(translated))
