"""The training node: data, cancelling, resuming and outputs."""

from __future__ import annotations

import importlib
import random
import re
import threading

import numpy as np
import pytest
import torch

SMALL = dict(
    recipe="demo",
    steps=3,
    batch_size=2,
    size=32,
    learning_rate=0.0,
    optimizer="as the recipe says",
    seed=0,
    preview_every=2,
    subfolders=False,
)


def pictures(count: int = 2, side: int = 48) -> torch.Tensor:
    return torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def train(nodes, host, monkeypatch):
    """Train a tiny network, with some of the settings changed."""
    module = nodes.train
    read = module.read_recipe

    def tiny(recipe):
        values = read(recipe)
        values["model"] = {"architecture": "unet", "arguments": {"width": 8, "max_width": 16, "depth": 2}}
        values["validation"] = {"every": 2, "samples": 2}
        return values

    monkeypatch.setattr(module, "read_recipe", tiny)

    def run(**changes):
        arguments = (
            dict(folder=module.CONNECTED, run_name="run", resume="if nothing changed", images=pictures()) | SMALL
        )
        return nodes.TrainModel.execute(**arguments | changes)

    return run


def test_it_trains_in_inference_mode_and_gives_a_model_that_inpaints(nodes, train, host):
    with torch.inference_mode():
        images = pictures().clone()
        model, losses, samples, path, report = train(images=images).args
        filled = nodes.ClassicalFillNode.execute(images, torch.ones(1, 48, 48), "mean", 0, False, 0.5)[0]
    assert filled.shape == images.shape
    assert model.model.card.architecture == "unet"
    assert len(losses["loss"]) == 3
    assert samples.ndim == 4
    assert samples.shape[-1] == 3
    assert path == str(host.run_folder("run") / "model.safetensors")
    assert "3 steps" in report
    assert all(weight.requires_grad and not weight.is_inference() for weight in model.model.network.parameters())


def test_the_sample_sheet_is_shown_on_the_node(train, host):
    output = train()
    (shown,) = output.ui["images"]
    assert shown == {"filename": "step_00000003.png", "subfolder": "liminal/run/samples", "type": "output"}


@pytest.mark.parametrize("recipe", ["glcic_natural", "pconv_natural", "unet_natural"])
def test_nothing_is_downloaded_for_a_recipe_with_perceptual_terms(recipe, nodes, train, monkeypatch):
    objective = importlib.import_module(f"{nodes.__name__.removesuffix('.nodes')}.training.objectives.features")

    def download():
        raise AssertionError("a node reached for the internet")

    monkeypatch.setattr(objective, "download_vgg16", download)
    assert "without the recipe's perceptual and style losses" in train(recipe=recipe)[4]
    assert "perceptual" not in train(recipe="demo")[4]


def test_progress_and_a_live_picture_are_sent(train):
    import comfy.utils

    train()
    assert [value for value, _, preview in comfy.utils.updates if preview is None] == [1, 2, 3]
    pictures_sent = [preview for _, _, preview in comfy.utils.updates if preview is not None]
    assert [(form, longest) for form, _, longest in pictures_sent] == [("JPEG", 512)] * 2


def test_the_hosts_models_make_room_and_the_cache_is_given_back(train):
    import comfy.model_management

    train()
    assert [call[0] for call in comfy.model_management.calls] == ["unload_all_models", "soft_empty_cache"]


@pytest.fixture
def cancelled_after_two(train, monkeypatch):
    """Trains, with Cancel pressed when the bar shows two steps, and sees it stop."""
    import comfy.model_management
    import comfy.utils

    def cancel_after_two(bar, value, total=None, preview=None):
        comfy.utils.updates.append((value, total, preview))
        if value == 2 and preview is None:
            comfy.model_management.interrupt_current_processing()

    def run(**settings):
        with monkeypatch.context() as patch:
            patch.setattr(comfy.utils.ProgressBar, "update_absolute", cancel_after_two)
            with pytest.raises(comfy.model_management.InterruptProcessingException):
                train(**settings)

    return run


def test_cancel_raises_keeps_a_loadable_model_and_the_next_run_resumes(nodes, host, train, cancelled_after_two):
    import comfy.model_management
    import comfy.utils

    cancelled_after_two(steps=6)
    assert not comfy.model_management.processing_interrupted()
    loaded = nodes.LoadModel.execute("output/liminal/run")[0]
    assert loaded.model.card.architecture == "unet"
    comfy.utils.updates.clear()
    _, losses, _, path, _ = train(steps=6).args
    assert [value for value, _, preview in comfy.utils.updates if preview is None] == [3, 4, 5, 6]
    assert len(losses["loss"]) == 6
    assert path == str(host.run_folder("run") / "model.safetensors")


def test_a_cancel_that_the_progress_bar_raises_also_keeps_the_work(nodes, train, monkeypatch):
    import comfy.model_management
    import comfy.utils

    def press_cancel_inside(bar, value, total=None, preview=None):
        if value == 2:
            raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(comfy.utils.ProgressBar, "update_absolute", press_cancel_inside)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        train()
    assert nodes.LoadModel.execute("output/liminal/run")[0].model.network is not None


def test_an_equal_run_is_reused_and_more_steps_resume_it(train, host):
    import comfy.utils

    first = train()
    comfy.utils.updates.clear()
    second = train()
    assert comfy.utils.updates == [] or all(preview is not None for _, _, preview in comfy.utils.updates)
    assert first[3] == second[3]
    assert all(
        torch.equal(a, b)
        for a, b in zip(first[0].model.network.parameters(), second[0].model.network.parameters(), strict=True)
    )
    comfy.utils.updates.clear()
    assert train(steps=4)[3] == first[3]
    assert [value for value, _, preview in comfy.utils.updates if preview is None] == [4]


@pytest.mark.parametrize("change", [dict(learning_rate=0.01), dict(images=pictures(3))], ids=["rate", "pictures"])
def test_other_settings_or_pictures_start_a_new_run_next_to_it(train, host, change):
    first = train()
    second = train(**change)
    assert second[3] != first[3]
    assert second[3] == str(host.run_folder("run-2") / "model.safetensors")


def test_training_again_happens_only_when_the_folder_changed(nodes, host):
    folder = host.allowed_roots()["input"] / "flowers"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"one")
    fingerprint = nodes.TrainModel.fingerprint_inputs
    first = fingerprint(folder="input/flowers", steps=3)
    assert fingerprint(folder="input/flowers", steps=3) == first
    (folder / "b.png").write_bytes(b"two")
    second = fingerprint(folder="input/flowers")
    assert second != first
    for name in (".DS_Store", "notes.txt", "._a.png", "__MACOSX/._a.png", "Thumbs.db"):  # no training looks at these
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "gone.png").symlink_to("nowhere.png")
    third = fingerprint(folder="input/flowers")
    assert third != second
    (folder / "gone.png").unlink()
    assert fingerprint(folder="input/flowers") == second
    (folder / "sub").mkdir()
    (folder / "sub" / "a_mask.jpeg").write_bytes(b"three")
    assert fingerprint(folder="input/flowers") != second
    assert fingerprint(folder=nodes.train.CONNECTED) == fingerprint(folder=nodes.train.CONNECTED)


def test_folders_and_names_are_checked_before_anything_runs(nodes, host):
    validate = nodes.TrainModel.validate_inputs
    assert validate(run_name="a run") is True
    assert validate(run_name="../run") == "'../run' contains a character that is not allowed in a name"
    assert validate(run_name="") == "'' is empty or too long for a name"
    for name in ("flowers/roses", "3d", "clipspace/more", "pasted", "webcam"):
        (host.allowed_roots()["input"] / name).mkdir(parents=True)
    (folder,) = [item for item in nodes.TrainModel.define_schema().inputs if item.id == "folder"]
    assert folder.options["options"] == [
        nodes.train.CONNECTED,
        nodes.train.PHOTOGRAPHS,
        "input/flowers",
        "input/flowers/roses",
    ]


def test_another_seed_does_not_start_a_new_run_and_the_run_keeps_its_own(train, host, cancelled_after_two):
    whole = train(run_name="whole", seed=3, steps=6)

    cancelled_after_two(run_name="cut", seed=3, steps=6)
    cut = train(run_name="cut", seed=99, steps=6)
    assert cut[3] == str(host.run_folder("cut") / "model.safetensors")
    for a, b in zip(whole[0].model.network.parameters(), cut[0].model.network.parameters(), strict=True):
        assert torch.equal(a, b)
    beside = train(run_name="cut", seed=99, steps=6, resume="never")
    assert beside[3] == str(host.run_folder("cut-2") / "model.safetensors")
    assert train(run_name="cut", seed=99, steps=6)[3] == beside[3]
    assert train(run_name="cut", seed=3, steps=6)[3] == cut[3]


def test_the_node_shows_the_progress_of_a_run(train, said, monkeypatch, cancelled_after_two):
    monkeypatch.setattr("time.monotonic", iter(range(10_000)).__next__)

    cancelled_after_two(steps=6)
    assert re.fullmatch(r"run: \d+ pictures, 6 steps", said[-4])
    assert re.fullmatch(r"step 1 of 6, loss [\d.e-]+, \d+ s left", said[-3])
    assert said[-1] == "saved run at step 2 of 6; the next run resumes from there"
    said.clear()
    train(steps=6)
    assert "resumed run at step 2" in said
    assert said[-2].startswith("resumed run at step 2\nstep 6 of 6, loss ")
    assert said[-1] == "run: 6 steps done"
    said.clear()
    train(steps=6)
    assert said[-1] == (
        "all 6 steps of run were already done; to train further, increase steps, choose another run_name, or set "
        "resume to never"
    )


def test_a_first_sample_is_shown_early(train):
    import comfy.utils

    train(steps=8, preview_every=50)
    shown = [value for value, _, preview in comfy.utils.updates if preview is not None]
    assert shown == [5, 8]


def test_a_folder_takes_precedence_over_connected_pictures_with_a_note(train, said, host, nodes):
    folder = host.allowed_roots()["input"] / "flowers"
    folder.mkdir()
    for number, picture in enumerate(host.image_planes(pictures())):
        nodes.train.host.write_image(folder / f"{number}.png", picture)
    assert train(folder="input/flowers")[0].model.card.data == "1 pictures of flowers"
    assert said[-1].endswith(
        "\nTraining uses the pictures in input/flowers, not the connected images; to use those, set folder to "
        "(connected images)."
    )


def test_a_deleted_run_is_noticed(train, nodes, host):
    import shutil

    def fingerprint():
        return nodes.TrainModel.fingerprint_inputs(folder=nodes.train.CONNECTED, run_name="gone", steps=3)

    train(run_name="gone")
    first = fingerprint()
    assert fingerprint() == first
    shutil.rmtree(host.run_folder("gone"))
    second = fingerprint()
    assert second != first
    train(run_name="gone")
    assert host.run_folder("gone").is_dir()
    assert fingerprint() == second


def test_a_diverged_training_names_the_widget(train, nodes, monkeypatch):
    training = f"{nodes.__name__.removesuffix('.nodes')}.training"
    loop, errors = (importlib.import_module(f"{training}.{name}") for name in ("engine.loop", "errors"))

    def diverge(*_):
        raise loop.NonFiniteError("the loss is not finite")

    monkeypatch.setattr(loop, "_learn", diverge)
    with pytest.raises(errors.DivergedError, match="; lower learning_rate, or set a smaller "):
        train()


def test_what_validation_rejects_execution_rejects_too(train):
    with pytest.raises(ValueError, match="not allowed"):
        train(folder="/etc")
    with pytest.raises(ValueError, match="contains a character"):
        train(run_name="../run")
    with pytest.raises(ValueError, match="connect images"):
        train(images=None)


def test_a_folder_of_pictures_can_be_trained_on(nodes, train, host):
    folder = host.allowed_roots()["input"] / "two pictures \u82b1"
    folder.mkdir()
    for number, picture in enumerate(host.image_planes(pictures())):
        nodes.train.host.write_image(folder / f"{number}.png", picture)
    assert train(folder=f"input/{folder.name}", images=None)[0].model.card.data == f"1 pictures of {folder.name}"


def test_the_hidden_part_of_a_picture_is_never_trained_on(nodes, host):
    images = pictures(1, 128)
    mask = torch.zeros(1, 128, 128)
    mask[:, 40:60, 40:70] = 1
    images[:, 40:60, 40:70] = 1.0
    folder = nodes.train.picture_source(nodes.train.CONNECTED, images.clamp(max=0.9) + mask[..., None], mask)
    from inpaint_core.files.images import decode_image

    parts = [decode_image(file).image for file in sorted(folder.iterdir())]
    assert all(part.max() < 0.95 and min(part.shape[1:]) >= 32 for part in parts)
    assert sum(part[0].numel() for part in parts) > 128 * 128


def test_every_known_square_lies_outside_the_hole_and_together_they_cover_most(nodes):
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        hole = torch.zeros(150, 200)
        for _ in range(3):
            y, x, h, w = (int(torch.randint(0, high, (1,), generator=generator)) for high in (130, 180, 40, 40))
            hole[y : y + h, x : x + w] = 1
        numbered = torch.arange(150.0 * 200).view(1, 150, 200)
        covered = torch.zeros(150 * 200)
        for part in nodes.pictures.known_squares(numbered, hole):
            assert part.shape[1] == part.shape[2] >= 32
            covered[part.flatten().long()] = 1
        assert not (covered * hole.flatten()).any()
        assert covered.sum() > 0.6 * (1 - hole).sum()


def test_a_mask_that_leaves_nothing_is_a_one_line_error(train):
    with pytest.raises(ValueError, match="the mask leaves no part"):
        train(mask=torch.ones(1, 48, 48))


def test_the_same_pictures_give_the_same_folder(nodes, host):
    first = host.store_pictures(list(host.image_planes(pictures())))
    state = host.folder_fingerprint(first)
    assert host.store_pictures(list(host.image_planes(pictures()))) == first
    assert len(list(first.iterdir())) == 2
    assert host.store_pictures(list(host.image_planes(pictures(1)))) != first
    assert state


def test_the_global_random_state_is_untouched(train):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    train()
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_no_thread_outlives_the_training(train):
    before = threading.active_count()
    train()
    assert threading.active_count() == before


def test_settings_of_zero_keep_the_recipes(nodes):
    settings = SMALL | dict(steps=0, batch_size=0, size=0)
    config = nodes.train.configuration("name", None, "cpu", **settings)
    recipe = nodes.train.parse_config(nodes.train.read_recipe("demo"))
    assert config == recipe.model_copy(update=dict(name="name", device="cpu", preview_every=2))


def test_optimizers_are_those_of_the_configuration(nodes):
    annotation = nodes.train.TrainConfig.model_fields["optimizer"].annotation.model_fields["name"].annotation
    assert set(nodes.train.OPTIMIZERS) == set(annotation.__args__)


def test_cancel_is_noticed_between_the_measurements_of_a_validation(nodes):
    measurement = importlib.import_module(nodes.__name__.replace(".nodes", ".training.engine.measurement"))
    measured = []

    class Objective:
        def evaluate(self, batch):
            measured.append(batch)
            return {"score": torch.ones(1)}

    assert measurement.measure(Objective(), [1, 2, 3]) == {"score": 1.0}
    measured.clear()
    assert measurement.measure(Objective(), [1, 2, 3], lambda: len(measured) == 2) is None
    assert measured == [1, 2]


def test_errors_of_the_trainer_speak_of_the_node(nodes, train, host):
    (host.allowed_roots()["input"] / "empty").mkdir()
    (host.allowed_roots()["input"] / "empty" / "below").mkdir()
    with pytest.raises(
        ValueError,
        match="it has subfolders; to include them, turn on subfolders",
    ):
        train(folder="input/empty", images=None)
    foreign = host.run_folder("foreign")
    foreign.mkdir(parents=True)
    (foreign / "config.yaml").write_text("hello: world")
    with pytest.raises(ValueError, match="choose another run_name"):
        train(run_name="foreign")
    assert (foreign / "config.yaml").read_text() == "hello: world"
