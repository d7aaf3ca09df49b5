"""The extension base class."""

from abc import ABC, abstractmethod


class ComfyExtension(ABC):
    """Subclassed once by a pack."""

    @abstractmethod
    async def get_node_list(self):
        """The node classes."""
