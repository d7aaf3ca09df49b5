"""A host with a CPU only, which records what it is asked to do."""

import torch


class InterruptProcessingException(Exception):  # noqa: N818
    """Raised in the node that runs when Cancel was pressed."""


interrupted = False
calls = []


def get_torch_device():
    """Where models run."""
    return torch.device("cpu")


def unet_offload_device():
    """Where models wait."""
    return torch.device("cpu")


def intermediate_device():
    """Where images and masks live."""
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
    """Give cached memory back."""
    calls.append(("soft_empty_cache",))


def interrupt_current_processing(value=True):
    """What the Cancel button does."""
    global interrupted
    interrupted = value


def processing_interrupted():
    """Whether Cancel was pressed and nobody has raised yet."""
    return interrupted


def throw_exception_if_processing_interrupted():
    """Raise once when Cancel was pressed."""
    global interrupted
    if interrupted:
        interrupted = False
        raise InterruptProcessingException()
