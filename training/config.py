"""All settings of a training run, with bounds; a recipe is such a configuration as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError, model_validator

from inpaint_core.checkpoints.card import MAX_SIDE
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.files.opening import pixel_limit
from inpaint_core.losses.adversarial import AdversarialLoss
from inpaint_core.masks import MaskMix, MaskSource
from inpaint_core.models.architecture import Learning

from .errors import SettingError
from .yaml_files import read_yaml

RECIPE_FOLDER = Path(__file__).parent / "recipes"

Positive = Annotated[float, Field(gt=0.0, le=1e6)]
Weight = Annotated[float, Field(ge=0.0, le=1e6)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


DEFAULT_HOLES = MaskMix(
    sources=(MaskSource(name="strokes", weight=2.0), MaskSource(name="rectangles")), hole_ratio=(0.1, 0.4)
)
Tracker = Literal["tensorboard", "wandb"]


class ConfigError(SettingError):
    """A configuration cannot be used; the message is one line."""


class Section(BaseModel):
    """A section of the configuration: frozen, and strict about names, so that a misspelled option is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


FORMER_FIELDS = {"recolour": "recolor"}
"""Former names of fields of `data`, which are still accepted."""


class DataConfig(Section):
    """Which pictures to use, and how samples are cut from them."""

    folder: str | None = Field(None, max_length=4096)
    """Folder of pictures, or a clip; None for scikit-image's sample photographs. In a folder split into train, val and
    test, train is used for training, val is held out, and test is never used."""
    frames: int = Field(500, ge=2, le=100_000)
    """Frames drawn from a clip; near duplicates are dropped."""
    picture: str | None = Field(None, max_length=4096)
    """Train on this single picture instead of a folder, to repair it afterward."""
    picture_mask: str | None = Field(None, max_length=4096)
    """The part to repair (white), which is excluded from training."""
    recursive: bool = False
    """Include subfolders."""
    size: int = Field(128, ge=16, le=MAX_SIDE)
    """Side in pixels of the training crops."""
    shorter_side: int | None = Field(None, ge=16, le=8192)
    """Larger pictures are reduced until their shorter side has this many pixels; None for twice `size`."""
    zoom: tuple[Annotated[float, Field(ge=0.1, le=16.0)], Annotated[float, Field(ge=0.1, le=16.0)]] = (1.0, 1.5)
    """Smallest and largest side of the random crop, in multiples of `size`; it is then resized to `size`."""
    input_side: Literal["left", "right"] | None = None
    """Each file contains two pictures side by side, and this one is the input of a translation; None: one picture per
    file."""
    input_folder: str | None = Field(None, max_length=4096)
    """Folder of a translation's inputs, one per picture, with the same name and size."""
    flip_horizontal: bool = True
    flip_vertical: bool = False
    rotate: bool = False
    """Random rotation by quarter turns."""
    recolor: bool = False
    """Random order, contrast and brightness of the color channels, so that a network does not memorize the colors of
    few pictures."""
    max_megapixels: float | None = Field(None, gt=0.0, le=100_000.0)
    """Larger pictures, in million pixels, are skipped; None for 89."""
    minimum_side: int = Field(32, ge=1, le=2048)
    """Pictures with a shorter side below this are skipped as tiny."""
    minimum_pictures: int = Field(1, ge=1, le=1_000_000)
    """Minimum number of usable pictures; fewer are an error."""
    held_out: float = Field(0.1, ge=0.0, le=0.9)
    """Fraction of the pictures to hold out from training, chosen by their content."""
    cache_megabytes: int = Field(4096, ge=0, le=1_000_000)
    """Decoded pictures are kept on the device if they fit in this much memory; otherwise they are read when needed."""
    workers: int = Field(0, ge=0, le=64)
    """Processes that read pictures if they are not kept in memory."""

    @model_validator(mode="before")
    @classmethod
    def _current_names(cls, values: object) -> object:
        if isinstance(values, Mapping):
            return {FORMER_FIELDS.get(name, name): value for name, value in values.items()}
        return values

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        if self.zoom[0] > self.zoom[1]:
            raise ValueError(f"zoom: the smallest ({self.zoom[0]}) is above the largest ({self.zoom[1]})")
        if self.input_side is not None and self.input_folder is not None:
            raise ValueError("input_side and input_folder both specify where the inputs are: set only one of them")
        if self.paired and (self.folder is None or self.recolor):
            raise ValueError("pairs need a folder, and cannot be combined with recolor")
        if (self.picture is None) != (self.picture_mask is None):
            raise ValueError("picture and picture_mask belong together: set both")
        if self.picture is not None and self.paired:
            raise ValueError("a single picture cannot be a pair: use a folder of pairs")
        return self

    @property
    def paired(self) -> bool:
        """Whether every picture has its own input."""
        return self.input_side is not None or self.input_folder is not None

    @property
    def max_pixels(self) -> int:
        """Maximum number of pixels of a picture."""
        return pixel_limit(self.max_megapixels)

    @property
    def stored_side(self) -> int:
        """Shorter side in pixels that pictures are reduced to when read."""
        return max(self.shorter_side or 2 * self.size, self.size)


class ModelConfig(Section):
    """The network."""

    architecture: str = Field("unet", max_length=64)
    arguments: dict[str, int | float | bool | str] = Field(default_factory=dict, max_length=64)
    fill: Literal["mean", "gray"] = "mean"
    """Color of the hole in the network's input: the mean of the training pictures, or 0.5."""
    init_from: str | None = Field(None, max_length=4096)
    """A model file with initial weights; the optimizer starts from scratch."""


class OptimizerConfig(Section):
    """The optimizer."""

    name: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"] = "adam"
    learning_rate: float = Field(1e-3, gt=0.0, le=100.0)
    beta1: float = Field(0.9, ge=0.0, lt=1.0)
    """First-moment decay of Adam and AdamW; momentum of SGD and RMSprop."""
    beta2: float = Field(0.999, ge=0.0, lt=1.0)
    """Second-moment decay of Adam and AdamW; smoothing of RMSprop and Adadelta (their `alpha` and `rho`)."""
    weight_decay: float = Field(0.0, ge=0.0, le=10.0)
    clip_norm: float | None = Field(None, gt=0.0, le=1e6)
    """Maximum norm of the gradients; larger ones are clipped."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate after the warm-up: constant, or decaying to 0 at the last step."""
    warmup_steps: int = Field(0, ge=0, le=1_000_000)
    ema: float | None = Field(None, ge=0.0, lt=1.0)
    """Decay of a moving average of the weights, which is saved in place of the weights; None for no average."""


class ObjectiveConfig(Section):
    """Base class of the settings of all objectives; their classes are in `objectives/registry.py`.

    Attributes
    ----------
    task
        Task of the trained model.
    draws_holes
        Whether holes are drawn into the training pictures.
    single_picture
        Whether it can ignore unknown parts of a picture, as needed to train on a single damaged one.
    learns
        How the networks that it trains learn; see `Architecture.learns`.
    """

    task: ClassVar[Literal["inpainting", "translation"]] = "inpainting"
    draws_holes: ClassVar[bool] = True
    single_picture: ClassVar[bool] = False
    learns: ClassVar[Learning] = "gradients"

    name: str


class ReconstructionConfig(ObjectiveConfig):
    """Plain reconstruction: a weighted loss inside and outside the hole."""

    single_picture: ClassVar[bool] = True

    name: Literal["reconstruction"] = "reconstruction"
    loss: Literal["l1", "mse", "charbonnier", "poisson", "kl_divergence", "cross_entropy"] = "l1"
    hole: Weight = 6.0
    valid: Weight = 1.0


class CompositeConfig(ObjectiveConfig):
    """Pixel, perceptual, style and total-variation losses on the output and on the composite (Liu et al. 2018, arXiv
    1804.07723, eq. 7), and optionally an adversarial one; for any inpainting network."""

    name: Literal["composite"] = "composite"
    valid: Weight = 1.0
    hole: Weight = 6.0
    perceptual: Weight = 0.05
    style: Weight = 120.0
    total_variation: Weight = 0.1
    features: str = Field("vgg16", max_length=4096)
    """Network for the perceptual and style terms: `vgg16` (torchvision's, downloaded on first use), a safetensors file
    with VGG weights, or `none` to use neither term."""
    features_of: Literal["both", "composite"] = "both"
    """What these terms compare: the output and the composite, as in the paper, or only the composite, which takes two
    thirds of the time."""
    features_side: int | None = Field(None, ge=32, le=2048)
    """Side in pixels of the input of these terms: a window around a point of the hole in even steps, and the reduced
    whole picture in odd ones. None: the whole picture at full size. Half of `data.size` takes a quarter of the time."""
    features_from: int = Field(0, ge=0, le=100_000_000)
    """First step with the perceptual and style terms, and with a discriminator of feature maps. A network with fresh
    weights learns faster from pixels alone, and each step takes less than half as long. No effect without features."""
    frozen_norm_after: int | None = Field(None, ge=0, le=100_000_000)
    """Step at which the encoder's normalization is frozen (the paper's second phase); None: never."""
    frozen_norm: Literal["statistics", "affine"] = "affine"
    """Whether to freeze only the running statistics, or also the affine parameters."""
    frozen_norm_rate: float = Field(0.25, gt=0.0, le=1.0)
    """Learning rate of the second phase, relative to the first (5e-5 after 2e-4 in the paper)."""
    perceptual_form: Literal["l1", "cosine"] = "l1"
    """How features are compared: the mean absolute difference, as in the paper, or the cosine distance between feature
    vectors in the hole, which weights faint textures as much as strong edges."""
    adversarial: Weight = 0.0
    """Weight of the adversarial term, whose discriminator covers everything that touches the hole. 0: none, as in the
    paper."""
    adversary: Literal["patches", "features"] = "patches"
    """Input of the discriminator: patches of the composite with the mask, or the feature maps of the perceptual and
    style terms, which needs fewer pictures to learn from and makes use of a pretrained network."""
    adversarial_from: int = Field(0, ge=0, le=100_000_000)
    """First step with the discriminator; not before `features_from` if it reads feature maps."""
    discriminator: dict[str, int | float | bool | str] = Field(default_factory=dict, max_length=16)
    """Arguments of the discriminator (`patch_discriminator` or `feature_discriminator`)."""
    discriminator_rate: float = Field(1.0, gt=0.0, le=100.0)
    """The discriminator's learning rate, relative to the network's."""


class GuardConfig(Section):
    """When a discriminator is too strong, and what to do then."""

    threshold: float = Field(0.02, ge=0.0, le=1.0)
    """A discriminator's averaged loss below this is near zero (0.69 is guessing)."""
    smoothing: float = Field(0.9, ge=0.0, lt=1.0)
    """Decay of the average."""
    patience: int = Field(50, ge=1, le=1_000_000)
    """Consecutive steps below the threshold before a response."""
    pause: int = Field(50, ge=1, le=1_000_000)
    """Number of steps for which the discriminator is then paused."""
    interventions: int = Field(5, ge=0, le=1000)
    """Training stops after this many unsuccessful pauses."""


class GlcicConfig(ObjectiveConfig):
    """Completion with a global and a local discriminator, in three phases (Iizuka et al. 2017)."""

    name: Literal["glcic"] = "glcic"
    completion_steps: int = Field(9000, ge=0, le=100_000_000)
    """First phase: only the completion network is trained."""
    discriminator_steps: int = Field(1000, ge=0, le=100_000_000)
    """Second phase: only the discriminator is trained; after that, both."""
    alpha: Weight = 4e-4
    """Weight of the adversarial term relative to the mean squared error in the hole."""
    adaptive_weight: bool = False
    """Multiply `alpha` by the ratio of both terms' gradients; set `alpha` to around 1 in this case."""
    discriminator: dict[str, int | float | bool | str] = Field(default_factory=dict, max_length=16)
    """Arguments of the discriminator; its sizes are derived from `data.size` unless given."""
    discriminator_rate: float = Field(1.0, gt=0.0, le=100.0)
    """The discriminator's learning rate, relative to the completion network's."""
    guard: GuardConfig = GuardConfig()


class TranslationConfig(ObjectiveConfig):
    """Base class of the settings of objectives for translation networks."""

    task: ClassVar[Literal["inpainting", "translation"]] = "translation"
    draws_holes: ClassVar[bool] = False

    prepare: PrepareSettings | None = PrepareSettings()
    """How a picture is turned into the input (Learning to See); null for pairs."""


class Pix2PixConfig(TranslationConfig):
    """Conditional adversarial training of a translation (Isola et al. 2017, arXiv 1611.07004)."""

    name: Literal["pix2pix"] = "pix2pix"
    l1: Weight = 100.0
    """Weight of the mean absolute difference in the network's own range (-1..1), as in the paper."""
    l1_reduction: int = Field(1, ge=1, le=64)
    """Factor by which both pictures are reduced before comparison: above 1, only colors and shapes have to match the
    ground truth, and textures are left to the other terms. 1: every pixel, as in the paper."""
    perceptual: Weight = 0.0
    """Weight of the cosine distance between feature vectors of the output and the ground truth."""
    style: Weight = 0.0
    """Weight of the difference between their Gram matrices, which compares textures regardless of position."""
    features: str = Field("none", max_length=4096)
    """Network for both: `vgg16` (torchvision's, downloaded on first use), a safetensors file with VGG weights, or
    `none` to use neither term."""
    features_reduction: int = Field(1, ge=1, le=8)
    """Factor by which pictures are reduced for these terms: they then compare larger shapes, in a fraction of the
    time."""
    adversarial: Weight = 1.0
    """0 trains without a discriminator."""
    adversarial_loss: AdversarialLoss = "logistic"
    discriminator: dict[str, int | float | bool | str] = Field(default_factory=dict, max_length=16)
    """Arguments of the patch discriminator; its input_channels are derived from the inputs."""
    discriminator_rate: float = Field(1.0, gt=0.0, le=100.0)
    """Learning rate of the discriminators, relative to the generator's."""
    feature_adversarial: Weight = 0.0
    """Weight of a second discriminator on feature maps instead of pictures, which can detect edges and textures from
    the start. 0: none."""
    feature_stage: int = Field(2, ge=1, le=3)
    """Stage of `features` that it reads, counted from the finest."""
    feature_discriminator: dict[str, int | float | bool | str] = Field(default_factory=dict, max_length=16)
    """Arguments of that patch discriminator; its input_channels are derived from the stage."""

    @model_validator(mode="after")
    def _check(self) -> Pix2PixConfig:
        if self.feature_adversarial > 0.0 and self.features == "none":
            raise ValueError("feature_adversarial needs the feature maps of a VGG: set features, or set it to 0")
        return self


class ExemplarsConfig(TranslationConfig):
    """Selection of a network's exemplars."""

    learns: ClassVar[Learning] = "exemplars"

    name: Literal["exemplars"] = "exemplars"
    prepare: PrepareSettings = PrepareSettings(reduction=12)
    """How a picture is turned into the input."""
    color: Weight = 2.0
    """Weight of colors relative to shapes when comparing pictures."""
    focus: Weight = 0.01
    """Weight of fine detail; above 0, pictures in focus are preferred to blurred ones."""


OBJECTIVE_CONFIGS: dict[str, type[ObjectiveConfig]] = {}
FORMER_NAMES = {"partial_conv": "composite"}
"""Former names of objectives, which are still accepted."""


def add_objective_config(config: type[ObjectiveConfig]) -> None:
    """Let configurations select an objective by the default of its `name` field."""
    OBJECTIVE_CONFIGS[config.model_fields["name"].default] = config


for _objective_config in (ReconstructionConfig, CompositeConfig, GlcicConfig, Pix2PixConfig, ExemplarsConfig):
    add_objective_config(_objective_config)


def _checked_objective(value: Any) -> Any:
    """Settings of the named objective; of the first one if there is no name."""
    if not isinstance(value, Mapping):
        return value
    name = value.get("name", ReconstructionConfig.model_fields["name"].default)
    name = FORMER_NAMES.get(name, name) if isinstance(name, str) else name
    if not isinstance(name, str) or name not in OBJECTIVE_CONFIGS:
        raise ValueError(f"unknown objective {str(name)[:60]!r}: choose one of {', '.join(OBJECTIVE_CONFIGS)}")
    return OBJECTIVE_CONFIGS[name].model_validate({**value, "name": name})


def any_objective() -> Any:
    """Union type of the settings of all objectives, discriminated by `name`."""
    return Annotated[reduce(or_, OBJECTIVE_CONFIGS.values()), Field(discriminator="name")]


class ValidationConfig(Section):
    """Validation on the held-out pictures."""

    every: int = Field(200, ge=1, le=1_000_000)
    samples: int = Field(32, ge=1, le=4096)
    """Number of fixed crops with fixed holes."""
    patience: int | None = Field(None, ge=1, le=10_000)
    """Stop after this many validations without improvement; None: never."""


class TrainConfig(Section):
    """Settings of a training run."""

    name: str = Field("run", min_length=1, max_length=100, pattern=r"^[\w .-]+$")
    seed: int = Field(0, ge=0, lt=2**64)
    steps: int = Field(1000, ge=1, le=100_000_000)
    batch_size: int = Field(16, ge=1, le=4096)
    """Pictures per step and process."""
    accumulate: int = Field(1, ge=1, le=1024)
    """Number of parts into which a batch is divided, to save memory; they are processed one after another."""
    device: str = Field("auto", max_length=32)
    """`auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1`, `mps`."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """`auto`: bfloat16 (float16 on older GPUs) if the device multiplies faster in it, otherwise float32. A CPU without
    AVX512-BF16 or AMX takes ten times as long in bfloat16."""
    channels_last: bool = False
    compile: bool = False
    data: DataConfig = DataConfig()
    masks: MaskMix = DEFAULT_HOLES
    """Holes drawn into the training pictures."""
    model: ModelConfig = ModelConfig()
    objective: Annotated[SerializeAsAny[ObjectiveConfig], BeforeValidator(_checked_objective)] = ReconstructionConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    validation: ValidationConfig = ValidationConfig()
    trackers: tuple[Tracker, ...] = ()
    """Where to log in addition to the run folder; a tracker that fails is disabled, and training continues."""
    preview_every: int = Field(100, ge=1, le=1_000_000)
    """Steps between contact sheets."""
    checkpoint_every: int = Field(200, ge=1, le=1_000_000)
    """Steps between states for resuming; the two latest are kept."""
    licence: str = Field("", max_length=2000)
    """Written into the model's card: the license of the pictures, and so of the weights."""

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if self.data.picture is not None and not self.objective.single_picture:
            able = ", ".join(name for name, config in OBJECTIVE_CONFIGS.items() if config.single_picture)
            raise ValueError(f"data.picture: training on a single picture is only possible with objective {able}")
        if self.data.paired and self.objective.task != "translation":
            able = ", ".join(name for name, config in OBJECTIVE_CONFIGS.items() if config.task == "translation")
            raise ValueError(f"data: paired inputs are only for translation (objective {able})")
        if isinstance(self.objective, TranslationConfig) and self.data.paired == (self.objective.prepare is not None):
            raise ValueError(
                "objective.prepare turns pictures into inputs: it must be null for pairs (data.input_side or "
                "data.input_folder), and is required otherwise"
            )
        return self


def parse_config(values: Mapping[str, object]) -> TrainConfig:
    """Check a mapping, as read from YAML.

    Raises
    ------
    ConfigError
        Unknown names or values out of bounds, all in one line.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise config_error(error) from None


def config_error(error: ValidationError) -> SettingError:
    """Pydantic's validation errors, as an error with field names."""
    problems: list[tuple[str | None, str]] = []
    for item in error.errors(include_url=False):
        message = item["msg"].removeprefix("Value error, ")
        where = ".".join(str(step) for step in item["loc"] if step not in OBJECTIVE_CONFIGS)
        if item["type"] == "value_error":
            # This project's own messages, which already include the value.
            problems.append((where or None, message))
        else:
            problems.append((where or None, f"{item['input']!r:.60} was given: {message[:1].lower()}{message[1:]}"))
    return ConfigError.several(problems)


def recipe_names() -> list[str]:
    """Names of the bundled recipes."""
    return sorted(path.stem for path in RECIPE_FOLDER.glob("*.yaml"))


def read_recipe(recipe: str | Path) -> dict[str, object]:
    """Values of a recipe: one of `recipe_names()`, or the path of a YAML file.

    Raises
    ------
    ConfigError
        No such recipe, or not a YAML mapping.
    """
    path = Path(recipe)
    if path.suffix not in (".yaml", ".yml"):
        path = RECIPE_FOLDER / f"{recipe}.yaml"
    try:
        values = read_yaml(path)
    except FileNotFoundError:
        raise ConfigError(
            f"no recipe {str(recipe)!r}: use a .yaml file or one of {', '.join(recipe_names())}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe must be a mapping of options")
    return values


def load_recipe(recipe: str | Path) -> TrainConfig:
    """A recipe as a checked configuration.

    Raises
    ------
    ConfigError
        As `read_recipe` and `parse_config`.
    """
    return parse_config(read_recipe(recipe))


def dump_config(config: TrainConfig) -> str:
    """The configuration as YAML that `load_recipe` reads back equal."""
    import yaml

    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
