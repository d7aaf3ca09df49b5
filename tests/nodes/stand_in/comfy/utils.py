"""The progress bar, where Cancel also takes effect."""

from comfy import model_management

updates = []


class ProgressBar:
    """Records its updates."""

    def __init__(self, total, node_id=None):
        self.total = total

    def update_absolute(self, value, total=None, preview=None):
        """Move the bar; `preview` is (format, PIL image, longest side)."""
        model_management.throw_exception_if_processing_interrupted()
        updates.append((value, total, preview))
