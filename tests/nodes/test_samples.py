"""The bundled photographs."""

from __future__ import annotations

import pytest


def test_every_photograph_has_a_hole_and_a_line_with_its_source(nodes, host):
    samples = nodes.samples
    files = sorted(samples.PHOTOGRAPHS.glob("*.jpg"))
    assert [file.stem for file in files] == sorted(samples.NAMES)
    sources = (samples.PHOTOGRAPHS / "SOURCES.md").read_text()
    for name in samples.NAMES:
        image, mask = nodes.SamplePicture.execute(name).args
        assert mask.shape == image.shape[:3]
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        assert 0.002 < mask.mean() < 0.1
        assert f"\n| {name} |" in sources


def test_together_they_stay_small(nodes):
    assert sum(file.stat().st_size for file in nodes.samples.PHOTOGRAPHS.iterdir()) < 2_000_000


def test_a_name_that_is_not_offered_is_a_one_line_error(nodes, host):
    with pytest.raises(ValueError, match=r"^there is no sample picture '\.\./x': choose one of beach, boat"):
        nodes.SamplePicture.execute("../x")
