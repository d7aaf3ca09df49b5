"""Pydantic's validation errors in one line."""

from __future__ import annotations

from pydantic import ValidationError

MAX_VALUE_LENGTH = 60  # characters of a rejected value that are shown


def describe(error: ValidationError) -> str:
    """A validation error in one line: `width = 5000: Input should be less than or equal to 1024`."""
    parts = []
    for item in error.errors(include_url=False):
        where = ".".join(str(step) for step in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        parts.append(f"{where} = {item['input']!r:.{MAX_VALUE_LENGTH}}: {message}" if where else message)
    return "; ".join(parts)
