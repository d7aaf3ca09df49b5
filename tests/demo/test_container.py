"""The container file and the Space are checked without a container engine."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "demo" / "Dockerfile"
SPACE = ROOT / "demo" / "space"


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """The instructions of the container file and their arguments."""
    text = "\n".join(line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#"))
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def of(steps: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for instruction, rest in steps if instruction == word]


def test_every_instruction_is_one_that_builders_know(steps: list[tuple[str, str]]) -> None:
    known = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "ENV", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {instruction for instruction, _ in steps} <= known  # no ADD, which can fetch from the network


def test_the_base_is_one_slim_python_with_a_version(steps: list[tuple[str, str]]) -> None:
    (base,) = of(steps, "FROM")
    assert re.fullmatch(r"python:3\.1\d-slim-[a-z]+", base)


def test_no_host_is_named_and_only_pip_fetches_anything(steps: list[tuple[str, str]]) -> None:
    assert not re.search(r"https?://(?!127\.0\.0\.1:7860/)", DOCKERFILE.read_text())
    assert not re.search(r"\b(curl|wget|git clone|apt-get)\b", DOCKERFILE.read_text())
    assert 'PIP_EXTRA_INDEX_URL=""' in of(steps, "ARG")


def test_it_runs_as_an_ordinary_user_who_is_made_before(steps: list[tuple[str, str]]) -> None:
    (user,) = of(steps, "USER")
    made = next(place for place, step in enumerate(steps) if step[0] == "RUN" and "useradd" in step[1])
    assert user not in ("root", "0")
    assert re.search(rf"useradd .*\b{user}\b", steps[made][1])
    assert made < steps.index(("USER", user))
    assert not [step for step in steps[steps.index(("USER", user)) :] if step[0] in ("RUN", "COPY")]


def test_the_health_check_asks_the_port_that_is_exposed_and_served(steps: list[tuple[str, str]]) -> None:
    (port,) = of(steps, "EXPOSE")
    (check,) = of(steps, "HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "health check", "exec")
    assert f"127.0.0.1:{port}/" in command[2]
    (served,) = of(steps, "CMD")
    assert json.loads(served) == ["python", "-m", "demo", "--host", "0.0.0.0", "--port", port]


def test_everything_copied_exists_and_is_not_ignored(steps: list[tuple[str, str]]) -> None:
    ignored = [line for line in (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines() if line]
    kept = {line[1:] for line in ignored if line.startswith("!")}
    for copied in of(steps, "COPY"):
        *sources, _ = shlex.split(copied)
        for source in sources:
            assert (ROOT / source).exists()
            assert source in kept
    assert "*" in ignored


def test_the_space_names_its_file_and_needs_what_the_pack_needs() -> None:
    front = SPACE.joinpath("README.md").read_text().split("---\n")[1]
    settings = dict(re.findall(r"^(\w+): *\"?([^\"\n]*)\"?$", front, flags=re.MULTILINE))
    assert settings["sdk"] == "gradio"
    assert settings["sdk_version"].startswith("6.")
    assert (SPACE / settings["app_file"]).exists()
    assert len(settings["short_description"]) <= 60
    wanted = {re.split(r"[>=<]", line)[0] for line in (ROOT / "requirements.txt").read_text().split()}
    given = {re.split(r"[>=<]", line)[0] for line in SPACE.joinpath("requirements.txt").read_text().split()}
    assert given == wanted - {"opencv-python"} | {"opencv-python-headless", "torch"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "0"], "--port 0: choose a number from 1 to 65535"),
        (["--threads", "0"], "--threads 0: must be at least 1"),
        (["--max-megapixels", "-1"], "must be above 0"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from demo.__main__ import main

    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_without_gradio_the_command_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import demo.__main__ as command

    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert command.main([]) == 2
    assert capsys.readouterr().err == 'error: the web page needs gradio 6: pip install -e ".[demo]"\n'
