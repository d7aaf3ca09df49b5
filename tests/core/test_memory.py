"""Memory: running out at any stage still gives a result, unless the user's own choice prevents it."""

import logging

import pytest
import torch

from inpaint_core import inpaint
from inpaint_core.inpainting import inpaint as completion
from inpaint_core.inpainting import memory, multiscale
from inpaint_core.inpainting.memory import free_bytes, is_out_of_memory


class Card:
    trained_size = 128


class Scarce:
    """Fills with gray; runs out of memory on passes with too many pixels, except on the CPU."""

    card = Card()

    def __init__(self, room, device="meta"):
        self.room = room
        self.device = torch.device(device)
        self.passes = []

    def to(self, device):
        self.device = torch.device(device)
        return self

    def complete(self, image, mask):
        self.passes.append((self.device.type, image.shape))
        if self.device.type != "cpu" and image.shape[0] * image.shape[-2] * image.shape[-1] > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return torch.full_like(image, 0.5)


def clip(frames=3, height=200, width=260):
    image = torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, height, width)
    mask[..., 40:140, 50:210] = 1
    mask[..., 170:176, 235:245] = 1
    return image, mask


def assert_done(output, image, mask):
    known = mask.expand_as(image) == 0
    assert torch.equal(output[known], image[known])
    assert not torch.equal(output, image)
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("strategy", ["auto", "crop", "tile", "resize"])
@pytest.mark.parametrize("room", [10**9, 128 * 128 * 2, 128 * 128, 64 * 64, 10])
def test_less_at_once_then_smaller_then_the_cpu(strategy, room, caplog):
    image, mask = clip()
    model = Scarce(room)
    with caplog.at_level(logging.WARNING, "liminal"):
        output = inpaint(model, image, mask, strategy)
    assert_done(output, image, mask)
    assert model.device.type == "meta"  # back where it was
    kinds = [kind for kind, _ in model.passes]
    assert ("cpu" in kinds) == (room == 10)
    messages = [record.getMessage() for record in caplog.records]
    assert bool(messages) == (room < 10**9)
    assert all(message.startswith("out of memory with") and "trying" in message for message in messages)
    assert any("CPU" in message for message in messages) == (room == 10)


def test_a_whole_frame_is_never_cut_but_may_go_to_the_cpu(caplog):
    image, mask = clip()
    model = Scarce(200 * 260 * 2)
    assert_done(inpaint(model, image, mask, "whole"), image, mask)
    assert {shape[-2:] for _, shape in model.passes} == {(200, 260)}
    assert model.passes[-1][0] == "meta"
    model = Scarce(10)
    assert_done(inpaint(model, image, mask, "whole"), image, mask)
    assert model.passes[-1][0] == "cpu"


@pytest.mark.parametrize(
    "options", [{"size": 128}, {"frames_per_batch": 2, "strategy": "crop"}, {"size": 200, "strategy": "tile"}]
)
def test_a_choice_made_by_hand_is_kept_and_ends_in_one_clear_error(options):
    image, mask = clip()
    model = Scarce(10)
    with pytest.raises(MemoryError) as caught:
        inpaint(model, image, mask, **options)
    message = str(caught.value)
    assert "out of memory; tried" in message
    assert "\n" not in message
    assert next(iter(options)) in message
    assert {kind for kind, _ in model.passes} == {"meta"}
    if "size" in options:
        assert max(max(shape[-2:]) for _, shape in model.passes) == min(options["size"], 260)
    else:
        assert max(shape[0] for _, shape in model.passes) == 2


def test_on_the_cpu_itself_the_error_says_what_was_tried():
    class Never(Scarce):
        def complete(self, image, mask):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")

    image, mask = clip(1)
    with pytest.raises(MemoryError, match=r"tried 1 window of up to 128 pixels on cpu, then .* free some memory"):
        inpaint(Never(0, "cpu"), image, mask)


@pytest.mark.parametrize("strategy", completion.STRATEGIES)
@pytest.mark.parametrize(
    "stage", ["complete", "reduce", "_enlarge", "_fill_tiles", "match_colors", "join", "match_grain"]
)
def test_an_error_at_any_stage_ends_in_a_result(strategy, stage, monkeypatch):
    image, mask = clip(1)
    model = Scarce(10**9)
    holder = next(item for item in (model, multiscale, completion) if hasattr(item, stage))
    original = getattr(holder, stage)
    calls = []

    def fail_once(*arguments, **options):
        calls.append(stage)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(*arguments, **options)

    expected = inpaint(model, image, mask, strategy, color_match=True, grain=0.5)
    monkeypatch.setattr(holder, stage, fail_once)
    output = inpaint(model, image, mask, strategy, color_match=True, grain=0.5)
    assert_done(output, image, mask)
    if not calls:  # this strategy has no such stage
        assert torch.equal(output, expected)


def test_other_errors_pass_through_and_the_model_returns_to_its_device():
    class Broken(Scarce):
        def complete(self, image, mask):
            if self.device.type == "cpu":
                raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
            return super().complete(image, mask)

    image, mask = clip(1)
    model = Broken(10)
    with pytest.raises(RuntimeError, match="shapes"):
        inpaint(model, image, mask)
    assert model.device.type == "meta"


def test_what_counts_as_out_of_memory():
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"))
    assert not is_out_of_memory(RuntimeError("size mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_windows_shrink_to_the_memory_there_is(monkeypatch):
    image, mask = clip(1)
    model = Scarce(10**9)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 64 * 64 * 4 * 2 * memory.BYTES_PER_PIXEL)
    assert_done(inpaint(model, image, mask), image, mask)
    assert max(max(shape[-2:]) for _, shape in model.passes) <= 128
    assert free_bytes(torch.device("cpu")) != 0
