"""Write the addresses of the publishing repository into pyproject.toml, so that a fork never points elsewhere.

python .github/name_repository.py OWNER/NAME [pyproject.toml]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def named(text: str, repository: str) -> str:
    """A pyproject.toml with `[project.urls]`, and the registry's icon and banner, of a repository `owner/name`.

    Raises
    ------
    ValueError
        Not such a name, or the file has these addresses already.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", repository):
        raise ValueError(f"{repository!r} is not OWNER/NAME")
    if "[project.urls]" in text or text.count("[tool.comfy]\n") != 1:
        raise ValueError("pyproject.toml names a repository already, or has no [tool.comfy]")
    page = f"https://github.com/{repository}"
    raw = f"https://raw.githubusercontent.com/{repository}/main/docs/images"
    urls = (
        "[project.urls]\n"
        f'Repository = "{page}"\n'
        f'Documentation = "{page}/blob/main/README.md"\n'
        f'"Bug Tracker" = "{page}/issues"\n'
        f'Issues = "{page}/issues"\n\n'
    )
    pictures = f'[tool.comfy]\nIcon = "{raw}/icon.png"\nBanner = "{raw}/banner.jpg"\n'
    return text.replace("[tool.comfy]\n", urls + pictures)


if __name__ == "__main__":
    target = Path(sys.argv[2] if len(sys.argv) > 2 else "pyproject.toml")
    target.write_text(named(target.read_text(encoding="utf-8"), sys.argv[1]), encoding="utf-8")
