"""What a node can show on itself."""


class PreviewText:
    """A text."""

    def __init__(self, value, **kwargs):
        self.value = value

    def as_dict(self):
        """The form that goes to the interface."""
        return {"text": (self.value,)}
