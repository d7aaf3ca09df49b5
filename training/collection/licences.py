"""Licenses of pictures, under the short names that Openverse uses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..dataset.attribution import NAMES
from .web import CollectError

FREE = ("cc0", "pdm", "by", "by-sa")
"""Those that allow commercial use and changes."""
PUBLIC_DOMAIN = re.compile(r"^(pd|pdm|public domain)\b")
CREATIVE_COMMONS = re.compile(r"^(?:cc[ -])?(by(?:-nc)?(?:-nd|-sa)?)(?:[ -]|$)")


def short_name(text: str) -> str:
    """The short name of a license such as `CC BY-SA 4.0`, `cc-by-nc-2.0` or `Public domain`; `unknown` for others.

    Examples
    --------
    >>> short_name("CC BY-SA 4.0"), short_name("GFDL")
    ('by-sa', 'unknown')
    """
    plain = text.strip().lower()
    if plain.startswith(("cc0", "cc-zero")):
        return "cc0"
    if PUBLIC_DOMAIN.match(plain):
        return "pdm"
    match = CREATIVE_COMMONS.match(plain)
    return match[1] if match else "unknown"


def version_of(text: str) -> str:
    """The version in a license's name, such as `4.0`; may be empty."""
    match = re.search(r"\d\.\d", text)
    return match[0] if match else ""


def parse(text: str) -> Sequence[str]:
    """The licenses of `--license`.

    Raises
    ------
    CollectError
        One that does not exist.
    """
    wanted = [part.strip().lower() for part in text.split(",") if part.strip()]
    wrong = [part for part in wanted if part not in NAMES]
    if wrong or not wanted:
        raise CollectError(f"--license {text}: choose some of {','.join(NAMES)}, separated by commas")
    return wanted
