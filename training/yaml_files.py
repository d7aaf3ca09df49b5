"""Safe reading of YAML configuration files: a small file cannot expand to a huge or endless structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MAX_BYTES = 2**20  # bytes; a recipe has one or two thousand
MAX_DEPTH = 24


def read_yaml(path: Path) -> Any:
    """Read a file of plain values: mappings with names as keys, lists, text, numbers, booleans and null.

    Raises
    ------
    ValueError
        The reason, without the file's name: too large, not YAML, aliases, nested too deeply, or keys that are not text.
    OSError
        It cannot be read.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Loads only plain values."""

        nested = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("aliases (*name) are not accepted; write the values out")
            if self.nested >= MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} times")
            self.nested += 1
            try:
                return super().compose_node(parent, index)
            finally:
                self.nested -= 1

    if not path.is_file() and path.exists():
        raise ValueError("is not a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes, too large for a configuration")
    try:
        values = Loader(content.decode("utf-8")).get_single_data()
    except (yaml.YAMLError, RecursionError, OverflowError, TypeError) as error:
        raise ValueError(f"not YAML ({' '.join(str(error).split())[:300]})") from None
    _check_keys(values)
    return values


def _check_keys(values: Any) -> None:
    if isinstance(values, dict):
        for key, value in values.items():
            if not isinstance(key, str):
                raise ValueError(
                    f"{key!r:.60} is not the name of an option; put names that look like numbers in quotes"
                )
            _check_keys(value)
    elif isinstance(values, list):
        for value in values:
            _check_keys(value)
