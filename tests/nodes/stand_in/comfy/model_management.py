"""A host with only a CPU, which records its calls."""

import torch


class InterruptProcessingException(Exception):  # noqa: N818
    """Raised in the running node when Cancel is pressed."""


interrupted = False
calls = []


def get_torch_device():
    """Device that models run on."""
    return torch.device("cpu")


def unet_offload_device():
    """Device for idle models."""
    return torch.device("cpu")


def intermediate_device():
    """Device for images and masks."""
    return torch.device("cpu")


def load_models_gpu(
    models, memory_required=0, force_patch_weights=False, minimum_memory_required=None, force_full_load=False
):
    """Bring models to their device."""
    calls.append(("load_models_gpu", [patcher.model for patcher in models], memory_required))


def unload_all_models():
    """Free the device."""
    calls.append(("unload_all_models",))


def soft_empty_cache(force=False):
    """Release cached memory."""
    calls.append(("soft_empty_cache",))


def interrupt_current_processing(value=True):
    """What the Cancel button does."""
    global interrupted
    interrupted = value


def processing_interrupted():
    """Whether Cancel was pressed and not yet raised."""
    return interrupted


def throw_exception_if_processing_interrupted():
    """Raise once if Cancel was pressed."""
    global interrupted
    if interrupted:
        interrupted = False
        raise InterruptProcessingException()
