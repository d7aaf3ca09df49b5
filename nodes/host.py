"""Everything specific to ComfyUI: tensors, devices, progress, folders, and allowed paths."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comfy.model_management as model_management
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar
from comfy_api.v0_0_2 import io
from PIL import Image
from torch import Tensor

from inpaint_core.checkpoints.embedded import embedded_models
from inpaint_core.checkpoints.files import PICKLE_SUFFIXES
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.files.folders import is_hidden, list_pictures
from inpaint_core.files.images import to_bytes, write_image
from inpaint_core.masks.normalise import normalize_mask

logger = logging.getLogger("liminal")
LiminalModel = io.Custom("LIMINAL_MODEL")
"""The link type between the nodes that load, train and use a model; its value is a `HostedModel`."""

MODEL_FOLDER = "liminal"
THIRD_PARTY_FOLDER = "inpaint"
ADVANCED = {"advanced": True}
"""For `extra_dict`: newer frontends collapse such inputs; 0.8.0 has no argument for it and ignores the entry."""

MAX_SEED = 2**64 - 1
"""Maximum of every seed, as on the host's own nodes."""

# float32 activations per pixel of a small network, a generous estimate: 256 planes of 4 bytes.
ACTIVATION_BYTES_PER_PIXEL = 1024
# Larger pictures are processed in crops and tiles; see `inpaint_core.inpainting.inpaint`.
MAX_PASS_PIXELS = 2048 * 2048


def seed_input(tooltip: str, **more: Any) -> io.Input:
    """The widget for a seed, with the host's control that changes it after each run."""
    return io.Int.Input("seed", default=0, min=0, max=MAX_SEED, control_after_generate=True, tooltip=tooltip, **more)


def searchable(schema: io.Schema, *words: str) -> io.Schema:
    """Add search aliases to a node, if the host supports them (0.11 and newer)."""
    if hasattr(schema, "search_aliases"):
        schema.search_aliases = list(words)
    return schema


# --- tensors ---------------------------------------------------------------------------------------------------------


def image_planes(image: Tensor) -> Tensor:
    """Turn a host IMAGE into the core's layout.

    Parameters
    ----------
    image
        `[B,H,W,C]` or `[H,W,C]` with C = 1, 3 or 4, any float type.

    Returns
    -------
    Tensor
        Float32 `[B,C,H,W]`.

    Raises
    ------
    ValueError
        Another rank or channel count, or no pixels.
    """
    if image.ndim == 3:
        image = image[None]
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise ValueError(
            "an IMAGE must have the shape [batch, height, width, 1, 3 or 4 channels], but this one has "
            f"{list(image.shape)}"
        )
    if image.numel() == 0:
        raise ValueError(f"the IMAGE has no pixels: its shape is {list(image.shape)}")
    return image.float().movedim(-1, 1)


def host_image(planes: Tensor) -> Tensor:
    """Turn `[B,C,H,W]` in 0..1 into a host IMAGE: `[B,H,W,3 or 4]`, contiguous, on the device for IMAGEs. Gray becomes
    RGB."""
    if planes.shape[1] == 1:
        planes = planes.expand(-1, 3, -1, -1)
    return planes.movedim(1, -1).contiguous().to(model_management.intermediate_device())


def hole_planes(mask: Tensor, image: Tensor, threshold: float = 0.5, invert: bool = False) -> Tensor:
    """Turn a host MASK of any rank and size into a hard `[B,1,H,W]` mask for `image` `[B,C,H,W]`, 1 = hole.

    The host's all-zero 64x64 mask, which means "no mask", stays empty even if inverted.

    Raises
    ------
    ValueError
        As `inpaint_core.masks.normalise.normalize_mask`.
    """
    size = (image.shape[-2], image.shape[-1])
    hole = normalize_mask(mask, size, threshold)
    absent = mask.shape[-2:] == (64, 64) and size != (64, 64) and not mask.any()
    return 1.0 - hole if invert and not absent else hole


def soft_planes(mask: Tensor) -> Tensor:
    """Turn a host MASK `[H,W]`, `[B,H,W]` or `[B,1,H,W]` into `[B,1,H,W]`, keeping soft values within 0..1.

    Raises
    ------
    ValueError
        Another rank, or no pixels.
    """
    if mask.ndim not in (2, 3, 4) or mask.numel() == 0:
        raise ValueError(f"a MASK must have the shape [batch, height, width], but this one has {list(mask.shape)}")
    return mask.float().nan_to_num(0.0).clamp(0.0, 1.0).reshape(-1, 1, mask.shape[-2], mask.shape[-1])


def notes_on_hole(mask: Tensor, hole: Tensor, image: Tensor) -> list[str]:
    """Notes on why a result may look unexpected: no hole, nothing known, a different aspect ratio, an invisible fill.

    Parameters
    ----------
    mask
        As given by the host.
    hole
        The result of `hole_planes` for `image` `[B,C,H,W]`.

    Returns
    -------
    list of str
        Messages, which are logged as well.
    """
    height, width = image.shape[-2:]
    rows, columns = mask.shape[-2:]
    notes = []
    if not bool(hole.any()):
        notes.append(
            "The mask is empty, so nothing is filled: only its white parts are filled. To fill the black parts, turn "
            "on invert_mask."
        )
    elif bool(hole.all()):
        notes.append(
            "The mask covers the whole picture, so there is nothing to fill it from. If the mask is inverted, turn "
            "on invert_mask."
        )
    elif max(rows * width, columns * height) > 1.02 * min(rows * width, columns * height):
        notes.append(
            f"The mask has {columns}x{rows} pixels and was stretched to the size of the picture, {width}x{height}, "
            "which has a different aspect ratio."
        )
    if image.shape[1] == 4 and bool(((hole > 0.5) & (image[:, 3:] <= 0.0)).any()):
        notes.append("Part of the hole is fully transparent, so the fill is invisible there: remove the alpha channel.")
    for note in notes:
        logger.warning(note)
    return notes


def host_mask(mask: Tensor) -> Tensor:
    """Turn `[B,1,H,W]` in 0..1 into a host MASK: `[B,H,W]` float32, contiguous, on the device for MASKs."""
    return mask[:, 0].float().contiguous().to(model_management.intermediate_device())


# --- models and devices ----------------------------------------------------------------------------------------------


if TYPE_CHECKING:
    from inpaint_core.foreign.external_models import ExternalModel

    Model = InpaintingModel | TranslationModel | ExternalModel


@dataclass(frozen=True)
class HostedModel:
    """The value of a LIMINAL_MODEL link: a model, and the host's handle to its memory. Nodes must not modify it."""

    model: Model
    patcher: ModelPatcher

    @property
    def name(self) -> str:
        """Name for display."""
        card = getattr(self.model, "card", None)  # third-party models have none
        return self.model.name if card is None else card.name or card.architecture


def hosted(model: Model) -> HostedModel:
    """Put a model under the host's memory management, initially in main memory."""
    patcher = ModelPatcher(
        model.network,
        load_device=model_management.get_torch_device(),
        offload_device=model_management.unet_offload_device(),
    )
    return HostedModel(model, patcher)


def inpainter(model: HostedModel, image: Tensor) -> InpaintingModel | ExternalModel:
    """Load an inpainting model for a picture `[B,3,H,W]`; the host may evict other models now, and this one later.

    Raises
    ------
    ValueError
        It does not fill holes.
    """
    card = getattr(model.model, "card", None)  # third-party models have none
    if card is not None and card.task != "inpainting":
        raise ValueError("this is a translation model; connect an inpainting model")
    _bring(model, image)
    return model.model


def translator(model: HostedModel, image: Tensor) -> TranslationModel:
    """The same for a model that translates pictures."""
    if not isinstance(model.model, TranslationModel):
        raise ValueError("this is an inpainting model; connect a translation model")
    _bring(model, image)
    return model.model


def _bring(model: HostedModel, image: Tensor) -> None:
    pixels = min(image.shape[-1] * image.shape[-2], MAX_PASS_PIXELS) * image.shape[0]
    model_management.load_models_gpu(
        [model.patcher], memory_required=pixels * ACTIVATION_BYTES_PER_PIXEL, force_full_load=True
    )
    model.model.to(model.patcher.load_device)


@contextmanager
def training_device() -> Iterator[torch.device]:
    """The device to train on, with the host's models unloaded.

    The host runs nodes in inference mode, whose tensors cannot be saved for backward: the network to train, and copies
    of its training data, must be created inside this block.
    """
    model_management.unload_all_models()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield model_management.get_torch_device()
    finally:
        model_management.soft_empty_cache()


# --- progress and cancel ---------------------------------------------------------------------------------------------


class Progress:
    """The node's progress bar and the Cancel button, for work that has to stop cleanly.

    The host's bar raises when Cancel is pressed. That exception is held back until `raise_if_cancelled`, so that the
    caller can check `cancelled` and save its state.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._bar = ProgressBar(total)
        self._interrupt: model_management.InterruptProcessingException | None = None

    def update(self, done: int, picture: Image.Image | None = None) -> None:
        """Show the progress and, if given, a picture on the node."""
        if self.cancelled():
            return
        try:
            self._bar.update_absolute(done, preview=None if picture is None else ("JPEG", picture, 512))
        except model_management.InterruptProcessingException as interrupt:
            self._interrupt = interrupt

    def cancelled(self) -> bool:
        """Whether Cancel was pressed."""
        return self._interrupt is not None or model_management.processing_interrupted()

    def raise_if_cancelled(self) -> None:
        """Raise the host's exception if Cancel was pressed."""
        if self._interrupt is not None:
            raise self._interrupt
        model_management.throw_exception_if_processing_interrupted()


def raise_if_cancelled() -> None:
    """Stop if Cancel was pressed; for loops with nothing to save."""
    model_management.throw_exception_if_processing_interrupted()


# --- folders and paths -----------------------------------------------------------------------------------------------

RESERVED_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
FORBIDDEN_CHARACTERS = set('<>:"\\|?*')
MAX_NAME_BYTES = 200
MAX_PATH_LENGTH = 1000
MAX_FOLDERS_LISTED = 500
# Folders where the host and the frontend keep their own pictures and models.
NOT_LISTED = (
    "output/liminal",
    *(f"input/{name}" for name in ("3d", "clipspace", "painter", "pasted", "threed", "webcam")),
)


def register_model_folder() -> None:
    """Register `models/liminal` with the host, keeping folders added by extra_model_paths.yaml."""
    folder_paths.add_model_folder_path(
        MODEL_FOLDER, os.path.join(folder_paths.models_dir, MODEL_FOLDER), is_default=True
    )
    paths, extensions = folder_paths.folder_names_and_paths[MODEL_FOLDER]
    folder_paths.folder_names_and_paths[MODEL_FOLDER] = (paths, {*extensions, ".safetensors"})


def third_party_models() -> dict[str, Path]:
    """Files in `models/inpaint`, where other packs keep LaMa and MAT, by their name in lists.

    Files other than safetensors are listed as well; selecting one raises an error with instructions.
    """
    folders = folder_paths.folder_names_and_paths.get(THIRD_PARTY_FOLDER, ([], set()))[0]
    folders = folders or [os.path.join(folder_paths.models_dir, THIRD_PARTY_FOLDER)]
    found: dict[str, Path] = {}
    for folder in map(Path, folders):
        for file in sorted(folder.iterdir()) if folder.is_dir() else []:
            if file.suffix.lower() in (".safetensors", *PICKLE_SUFFIXES) and file.is_file():
                found.setdefault(f"{THIRD_PARTY_FOLDER}/{file.name}", file)
    return found


def allowed_roots() -> dict[str, Path]:
    """The folders that a workflow may use, by name.

    `input`, `output`, and every folder that the machine's owner lists as `datasets` in extra_model_paths.yaml (newer
    hosts include one by default), by that folder's own name.
    """
    roots = {
        "input": Path(folder_paths.get_input_directory()),
        "output": Path(folder_paths.get_output_directory()),
    }
    for path in folder_paths.folder_names_and_paths.get("datasets", ([], set()))[0]:
        roots.setdefault(Path(path).name, Path(path))
    return roots


def safe_name(text: str) -> str:
    """Check that `text` is a single valid file or folder name on every operating system.

    Raises
    ------
    ValueError
        Empty, too long, `.` or `..`, a separator, a colon, a wildcard, a control or invisible character, a leading or
        trailing space, a trailing dot, a name that Windows reserves.
    """
    shown = ascii(text[:60])
    if not text or len(text.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise ValueError(f"{shown} is empty or too long for a name")
    if "/" in text or FORBIDDEN_CHARACTERS & set(text) or any(unicodedata.category(c)[0] == "C" for c in text):
        raise ValueError(f"{shown} contains a character that is not allowed in a name")
    if text != text.strip() or text.endswith("."):
        raise ValueError(f"{shown} begins or ends with a space, or ends with a dot")
    if text.split(".")[0].strip().lower() in RESERVED_NAMES:
        raise ValueError(f"{shown} is a name that Windows reserves")
    return text


def safe_path(text: str, roots: dict[str, Path]) -> Path:
    """Resolve a path from a workflow. Nothing else turns such a string into a path.

    Parameters
    ----------
    text
        `root/folder/.../name` with forward slashes; the root is a key of `roots`.
    roots
        Allowed folders. Links are followed; their targets must lie in one of these folders.

    Returns
    -------
    Path
        Absolute and resolved; need not exist.

    Raises
    ------
    ValueError
        Anything else.
    """
    accepted = ", ".join(sorted(roots))
    parts = text.split("/") if isinstance(text, str) and len(text) <= MAX_PATH_LENGTH else []
    if not parts or parts[0] not in roots:
        raise ValueError(f"{ascii(text)[:60]} is not allowed: a path must begin with one of these folders: {accepted}")
    path = os.path.realpath(roots[parts[0]].joinpath(*(safe_name(part) for part in parts[1:])))
    if not any(_contains(os.path.realpath(root), path) for root in roots.values()):
        raise ValueError(
            f"{ascii(text)[:60]} is outside the allowed folders: {accepted}; the owner of the machine can allow more"
        )
    return Path(path)


def _contains(root: str, path: str) -> bool:
    try:
        return os.path.commonpath([root, path]) == root
    except ValueError:  # different drives
        return False


def run_folder(name: str) -> Path:
    """The folder of the training run of this name: `output/liminal/<name>`."""
    return safe_path(f"output/liminal/{safe_name(name)}", {"output": Path(folder_paths.get_output_directory())})


def picture_folders() -> list[str]:
    """Names of folders, up to two levels deep, that may hold training pictures, for a list on a node."""
    found: list[str] = []
    for name, root in allowed_roots().items():
        if name not in ("input", "output") and root.is_dir():
            found.append(name)
        found += _subfolders(root, name, levels=2)
    return [folder for folder in found if not folder.startswith(NOT_LISTED)][:MAX_FOLDERS_LISTED]


def _subfolders(folder: Path, name: str, levels: int) -> list[str]:
    if levels == 0 or not folder.is_dir():
        return []
    found: list[str] = []
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not is_hidden(entry.name) and entry.is_dir())
    for child in names:
        try:
            found.append(f"{name}/{safe_name(child)}")
        except ValueError:
            continue
        found += _subfolders(folder / child, found[-1], levels - 1)
    return found


def picture_folder(text: str) -> Path:
    """The path of one of `picture_folders`, or of any other folder inside the allowed roots.

    Raises
    ------
    ValueError
        Not allowed, or no such folder.
    """
    folder = safe_path(text, allowed_roots())
    if not folder.is_dir():
        raise ValueError(f"there is no folder {text}; create it and add your pictures, or choose another folder")
    return folder


def folder_fingerprint(folder: Path) -> str:
    """A value that changes if a picture in a folder is added, removed, renamed or modified, based on names, sizes and
    times.

    Only files that training uses are included.
    """
    digest = hashlib.sha256()
    listing = list_pictures(folder, recursive=True)
    for path in sorted([*listing.pictures, *(mask for masks in listing.masks.values() for mask in masks)]):
        try:
            state = path.stat()
            known = f"{state.st_size}\0{state.st_mtime_ns}"
        except OSError:  # a broken link
            known = "gone"
        digest.update(f"{path.relative_to(folder)}\0{known}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def store_pictures(pictures: list[Tensor]) -> Path:
    """Write pictures `[3,H,W]` to a folder in ComfyUI's temp folder; the same pictures always go to the same folder."""
    digest = hashlib.sha256()
    for pixels in map(to_bytes, pictures):
        digest.update(repr(pixels.shape).encode() + pixels.tobytes())
    folder = Path(folder_paths.get_temp_directory(), "liminal", digest.hexdigest()[:32], "connected images")
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        write_image(folder / f"{number:05d}.png", picture)
    return folder


def store_shown(picture: Image.Image) -> dict[str, str]:
    """Write a picture to ComfyUI's temp folder under a new name; returns the UI entry that shows it."""
    folder = Path(folder_paths.get_temp_directory(), "liminal")
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{secrets.token_hex(8)}.png"
    picture.save(folder / name, compress_level=1)
    return {"filename": name, "subfolder": "liminal", "type": "temp"}


def newest_pictures(folder: Path, count: int) -> list[dict[str, str]]:
    """UI output that shows the newest pictures of a folder inside the output folder."""
    output = os.path.realpath(folder_paths.get_output_directory())
    files = [path.relative_to(output) for path in sorted(folder.glob("*.png"))[-count:]]
    return [{"filename": file.name, "subfolder": file.parent.as_posix(), "type": "output"} for file in files]


def model_names() -> list[str]:
    """Models that can be loaded: embedded ones, files in `models/liminal`, runs (newest first), and third-party
    models."""
    runs = Path(folder_paths.get_output_directory(), "liminal").glob("*/model.safetensors")
    newest = sorted(runs, key=lambda file: file.stat().st_mtime_ns, reverse=True)
    stored = folder_paths.get_filename_list(MODEL_FOLDER)
    trained = (f"output/liminal/{file.parent.name}" for file in newest)
    return [*embedded_models(), *stored, *trained, *third_party_models()]


def model_file(name: str) -> Path:
    """The file of one of `model_names`.

    Raises
    ------
    ValueError
        The name is not listed.
    """
    if name not in model_names():
        raise ValueError(f"{ascii(name)[:60]} is not in the list of models; refresh the list and select a model again")
    embedded = embedded_models()
    if name in embedded:
        return embedded[name]
    others = third_party_models()
    if name in others:
        return others[name]
    if name in folder_paths.get_filename_list(MODEL_FOLDER):
        return Path(folder_paths.get_full_path_or_raise(MODEL_FOLDER, name))
    return run_folder(name.removeprefix("output/liminal/")) / "model.safetensors"


register_model_folder()
