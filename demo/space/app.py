"""The web page as a Hugging Face Space; see docs/demo.md."""

import sys

from demo.__main__ import main

if __name__ == "__main__":
    # A Space is reached from outside its container.
    everywhere = "0.0.0.0"  # nosec B104
    sys.exit(main(["--host", everywhere, "--port", "7860", "--max-megapixels", "24"]))
