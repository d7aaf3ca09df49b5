"""Registry of all architectures, by name."""

from __future__ import annotations

import torch
from pydantic import ValidationError

from ..validation import describe
from . import (
    context_pconv_unet,
    context_unet,
    encoder_decoder,
    exemplar_montage,
    feature_discriminator,
    glcic,
    global_local_discriminator,
    patch_discriminator,
    pconv_unet,
    pix2pix_resnet,
    pix2pix_unet,
    texture_unet,
    unet,
)
from .architecture import Architecture, Network

ARCHITECTURES: dict[str, Architecture] = {
    module.ARCHITECTURE.name: module.ARCHITECTURE
    for module in (
        unet,
        context_unet,
        encoder_decoder,
        pconv_unet,
        context_pconv_unet,
        glcic,
        pix2pix_unet,
        pix2pix_resnet,
        texture_unet,
        exemplar_montage,
        patch_discriminator,
        global_local_discriminator,
        feature_discriminator,
    )
}


def find_architecture(name: str) -> Architecture:
    """Look an architecture up by name.

    Raises
    ------
    ValueError
        There is none; the message lists those that exist.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise ValueError(f"unknown architecture {name!r}: choose one of {', '.join(sorted(ARCHITECTURES))}") from None


def build_empty(name: str, arguments: dict[str, object]) -> Network:
    """Build a network on the meta device: shapes without memory, so that checking a card costs nothing.

    Raises
    ------
    ValueError
        Unknown name, or invalid arguments (a one-line message).
    """
    architecture = find_architecture(name)
    try:
        checked = architecture.arguments.model_validate(arguments)
    except ValidationError as error:
        raise ValueError(f"architecture {name!r}: {describe(error)}") from None
    with torch.device("meta"):
        return architecture.network(**checked.model_dump())


def build_model(name: str, *, generator: torch.Generator | None = None, **arguments: object) -> Network:
    """Build a freshly initialized network in evaluation mode on the CPU.

    Parameters
    ----------
    name
        A key of `ARCHITECTURES`.
    generator
        Source of the initial weights; a generator seeded with 0 when None. The global random state is never used.
    **arguments
        Fields of the architecture's arguments class; the others get their defaults.

    Returns
    -------
    Network
        float32 parameters.

    Raises
    ------
    ValueError
        Unknown name, unknown argument or a value out of range (a one-line message).
    """
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    # In ComfyUI's inference mode, parameters would become inference tensors, which cannot be trained.
    with torch.inference_mode(False):
        network = build_empty(name, arguments).to_empty(device="cpu")
        with torch.no_grad():
            network.initialize(generator)
    return network.eval()
