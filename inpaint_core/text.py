"""Untrusted text made safe for one line of a terminal, a log or a node."""

from __future__ import annotations

import unicodedata

MAX_LINE_LENGTH = 1000
MAX_MESSAGE_LENGTH = 4000  # of an error


def one_line(text: str, longest: int = MAX_LINE_LENGTH) -> str:
    """The text on one line, without anything that ends a line, moves the cursor, or changes colors or text direction.

    Any white space becomes a single space, other unprintable characters are escaped, and text beyond `longest`
    characters is cut off.
    """
    shown = []
    for character in " ".join(text[: 4 * longest].split()):
        printed = character == " " or unicodedata.category(character)[0] not in "CZ"
        shown.append(character if printed else ascii(character)[1:-1])
    line = "".join(shown)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
