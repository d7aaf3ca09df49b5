"""Text from files that others made, fit for one line of a terminal, a log or a node."""

from __future__ import annotations

import unicodedata

MAX_LINE_LENGTH = 1000


def one_line(text: str, longest: int = MAX_LINE_LENGTH) -> str:
    """The text on one line: nothing that ends a line, moves a cursor, changes colors or the direction of writing.

    White space of any kind becomes a single blank, other characters that are not printed are written as escapes, and
    what is beyond `longest` characters is cut off.
    """
    shown = []
    for character in " ".join(text[: 4 * longest].split()):
        printed = character == " " or unicodedata.category(character)[0] not in "CZ"
        shown.append(character if printed else ascii(character)[1:-1])
    line = "".join(shown)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
