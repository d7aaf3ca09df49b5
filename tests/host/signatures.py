"""Print the signatures of the host's names that the nodes use, as JSON; run for the real host and for its stand-in.

usage: python signatures.py FOLDER, where FOLDER contains `comfy`, `comfy_api` and `folder_paths`
"""

from __future__ import annotations

import inspect
import json
import sys

sys.path.insert(0, sys.argv[1])
sys.argv[1:] = ["--cpu"]

try:
    import comfy.options

    comfy.options.enable_args_parsing()
except ImportError:
    pass  # the stand-in has no command line

import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.utils  # noqa: E402
import folder_paths  # noqa: E402
from comfy_api.v0_0_2 import ComfyExtension, io, ui  # noqa: E402

LINK_TYPES = ("Image", "Mask", "LossMap", "Boolean", "Int", "Float", "String", "Combo")
NAMES = {
    **{f"io.{name}.Input": getattr(io, name).Input for name in LINK_TYPES},
    **{f"io.{name}.Output": getattr(io, name).Output for name in LINK_TYPES if name not in ("Combo", "Boolean")},
    "io.Custom": io.Custom,
    "io.Custom.Input": io.Custom("X").Input,
    "io.Custom.Output": io.Custom("X").Output,
    "io.DynamicCombo.Input": io.DynamicCombo.Input,
    "io.DynamicCombo.Option": io.DynamicCombo.Option,
    "io.Schema": io.Schema,
    "io.NodeOutput": io.NodeOutput,
    "io.ComfyNode.execute": io.ComfyNode.execute,
    "io.ComfyNode.validate_inputs": io.ComfyNode.validate_inputs,
    "io.ComfyNode.fingerprint_inputs": io.ComfyNode.fingerprint_inputs,
    "ui.PreviewText": ui.PreviewText,
    "ComfyExtension.get_node_list": ComfyExtension.get_node_list,
    "ModelPatcher": comfy.model_patcher.ModelPatcher,
    "ProgressBar": comfy.utils.ProgressBar,
    "ProgressBar.update_absolute": comfy.utils.ProgressBar.update_absolute,
    **{
        name: getattr(comfy.model_management, name)
        for name in (
            "get_torch_device",
            "unet_offload_device",
            "intermediate_device",
            "load_models_gpu",
            "unload_all_models",
            "soft_empty_cache",
            "interrupt_current_processing",
            "processing_interrupted",
            "throw_exception_if_processing_interrupted",
        )
    },
    **{
        name: getattr(folder_paths, name)
        for name in (
            "get_input_directory",
            "get_output_directory",
            "get_temp_directory",
            "add_model_folder_path",
            "get_filename_list",
            "get_full_path_or_raise",
        )
    },
}


def describe(thing: object) -> list[list[str]]:
    """Name, kind and default of every parameter."""
    return [[item.name, item.kind.name, repr(item.default)] for item in inspect.signature(thing).parameters.values()]


if __name__ == "__main__":
    values = {name: type(getattr(folder_paths, name)).__name__ for name in ("models_dir", "folder_names_and_paths")}
    bases = [base.__name__ for base in comfy.model_management.InterruptProcessingException.__bases__]
    signatures = {name: describe(thing) for name, thing in NAMES.items()}
    print(json.dumps(signatures | values | {"InterruptProcessingException": bases}))
