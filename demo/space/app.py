"""The web page as a Hugging Face Space; see docs/demo.md."""

import sys

from demo.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["--host", "0.0.0.0", "--port", "7860", "--max-megapixels", "24"]))
