"""ComfyUI's side of the pack: thin nodes that convert tensors, call the library, and convert back."""

from __future__ import annotations

from comfy_api.v0_0_2 import ComfyExtension, io

from .evaluate import EvaluateModel
from .inpaint import ClassicalFillNode, Inpaint
from .masks import MaskFromSLIC, RandomMask, SnapMaskToSLIC
from .models import LoadModel, ModelInfo
from .refine import RefineMask
from .reimagine import Reimagine
from .samples import SamplePicture
from .seamless import MakeSeamless
from .train import TrainModel
from .translate import LearningToSeePrepare, LearningToSeeTranslate


class LiminalExtension(ComfyExtension):
    """The pack's nodes, in the order of a typical workflow."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            SamplePicture,
            MaskFromSLIC,
            SnapMaskToSLIC,
            RandomMask,
            RefineMask,
            LoadModel,
            Inpaint,
            ClassicalFillNode,
            MakeSeamless,
            Reimagine,
            LearningToSeePrepare,
            LearningToSeeTranslate,
            TrainModel,
            ModelInfo,
            EvaluateModel,
        ]
