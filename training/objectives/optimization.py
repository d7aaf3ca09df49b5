"""A network and everything needed to update it: optimizer, schedule, scaling, clipping, moving average."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from inpaint_core.checkpoints.inference_form import fast_dtype

from ..config import OptimizerConfig, TrainConfig
from ..placement import Placement

Net = TypeVar("Net", bound=nn.Module)
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class NonFiniteError(ArithmeticError):
    """A loss or a gradient is NaN or infinite; this step has not changed any weight."""


def build_optimizer(config: OptimizerConfig, network: nn.Module) -> Optimizer:
    """The configured optimizer over a network's trainable parameters."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate, decay, betas = config.learning_rate, config.weight_decay, (config.beta1, config.beta2)
    match config.name:
        case "adam":
            return _fused(torch.optim.Adam, parameters, lr=rate, betas=betas, weight_decay=decay)
        case "adamw":
            return _fused(torch.optim.AdamW, parameters, lr=rate, betas=betas, weight_decay=decay)
        case "sgd":
            return torch.optim.SGD(parameters, rate, config.beta1, weight_decay=decay)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, rate, config.beta2, weight_decay=decay, momentum=config.beta1)
        case "adagrad":
            return torch.optim.Adagrad(parameters, rate, weight_decay=decay)
        case "adadelta":
            return torch.optim.Adadelta(parameters, rate, config.beta2, weight_decay=decay)


def _fused(kind: type[Optimizer], parameters: list[nn.Parameter], **settings: Any) -> Optimizer:
    try:
        return kind(parameters, fused=True, **settings)  # type: ignore[call-arg]
    except RuntimeError:
        # For devices and versions of torch without the fused kernel, which takes less than half the time on a CPU.
        return kind(parameters, **settings)


def schedule_factor(config: OptimizerConfig, step: int, steps: int) -> float:
    """Factor of the learning rate in step `step` (from 0) of `steps`: a pure function, so there is nothing to save."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    progress = min((step - config.warmup_steps) / max(steps - config.warmup_steps, 1), 1.0)
    return 1.0 - progress if config.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))


def precision_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The data type for a `TrainConfig.precision` on a device."""
    if precision != "auto":
        return PRECISIONS[precision]
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return fast_dtype(device)


class Trainable(Generic[Net]):
    """One network in training.

    Parameters
    ----------
    network
        Moved to the device; its weights are updated in place.
    config
        Provides precision, memory layout, compilation and the number of steps.
    optimizer
        Settings of this network's optimizer.

    Attributes
    ----------
    forward
        Called in training steps: the network itself, or its distributed or compiled form.
    """

    def __init__(self, network: Net, config: TrainConfig, optimizer: OptimizerConfig, placement: Placement) -> None:
        self.network = network.to(placement.device)
        if config.channels_last:
            for parameter in self.network.parameters():
                if parameter.ndim == 4:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._settings = optimizer
        self._steps = config.steps
        self._device = placement.device
        self._dtype = precision_dtype(config.precision, placement.device)
        self.optimizer = build_optimizer(optimizer, self.network)
        self._scaler = torch.amp.GradScaler(placement.device.type, enabled=self._dtype == torch.float16)
        self._average = copy.deepcopy(self.network).eval().requires_grad_(False) if optimizer.ema is not None else None
        self._updates = 0
        self._buffers: list[Tensor] = []
        self._placement = placement
        self._compile = config.compile
        self._parallel: DistributedDataParallel | None = None
        self.forward: nn.Module = self.network
        self.rebuild()

    def rebuild(self) -> None:
        """Rebuild `forward` after changing which weights require gradients."""
        self._parallel = _distribute(self.network, self._placement)
        forward = self.network if self._parallel is None else self._parallel
        self.forward = torch.compile(forward) if self._compile else forward  # type: ignore[assignment]

    @property
    def result(self) -> Net:
        """The network to use and save: the moving average if there is one."""
        return self.network if self._average is None else self._average

    def learning_rate(self, step: int) -> float:
        """Learning rate of step `step`, from 0."""
        return self._settings.learning_rate * schedule_factor(self._settings, step, self._steps)

    def begin(self) -> None:
        """Start a step: set training mode, and back up normalization statistics in case the step is discarded."""
        self.network.train()
        self._buffers = [buffer.clone() for buffer in self.network.buffers()]

    def autocast(self) -> AbstractContextManager[None]:
        """Context of a forward pass in the configured precision."""
        return torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32)

    def gathering(self, last: bool) -> AbstractContextManager[object]:
        """Context of the forward and backward pass of a part of a batch; processes exchange gradients in the last
        part."""
        return nullcontext() if self._parallel is None or last else self._parallel.no_sync()

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a (part of a) batch's loss."""
        self._scaler.scale(loss).backward()

    def discard(self) -> None:
        """Undo a step that was started but not applied: clear gradients, restore normalization."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, kept in zip(self.network.buffers(), self._buffers, strict=False):
                buffer.copy_(kept)
        self._buffers = []

    def apply(self, step: int, rate: float = 1.0) -> None:
        """Update the weights with the accumulated gradients, and clear these.

        Parameters
        ----------
        step
            From 0; determines the learning rate.
        rate
            Factor of the scheduled learning rate.

        Raises
        ------
        NonFiniteError
            The gradients are not finite; the weights are unchanged.
        """
        self._scaler.unscale_(self.optimizer)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        finite = bool(torch.isfinite(norm))
        if not finite and not self._scaler.is_enabled():
            self.discard()
            raise NonFiniteError("gradient")
        if finite and self._settings.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self._settings.clip_norm, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step) * rate
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._buffers = []
        if finite:
            self._updates += 1
            self._move_average()
        elif self._scaler.get_scale() < 1.0:
            # Lowering the scale handles overflow of half precision; below a scale of 1, the cause is not overflow.
            raise NonFiniteError("gradient")

    @torch.no_grad()
    def _move_average(self) -> None:
        if self._average is None or self._settings.ema is None:
            return
        # Otherwise early averages would consist mostly of the initial weights (as in TensorFlow's
        # ExponentialMovingAverage).
        decay = min(self._settings.ema, (1 + self._updates) / (10 + self._updates))
        for mean, value in zip(self._average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1.0 - decay)
        for kept, buffer in zip(self._average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "updates": self._updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.optimizer.state.items():
            for name, value in moments.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    # With the parameter's own strides, because the fused kernels treat both as flat memory.
                    moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)
        self._scaler.load_state_dict(state["scaler"])
        self._updates = state["updates"]
        if self._average is not None:
            self._average.load_state_dict(state["average"] or state["network"])
        self.optimizer.zero_grad(set_to_none=True)
        self._buffers = []


def _distribute(network: nn.Module, placement: Placement) -> DistributedDataParallel | None:
    if placement.processes == 1:
        return None
    # Buffers are not broadcast: a second forward pass before the backward pass would modify those used by the first.
    devices = [placement.device] if placement.device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)
