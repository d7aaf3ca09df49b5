"""The server, which sends what nodes say to the interface."""


class PromptServer:
    """Records what is said; somebody watches."""

    instance = None

    def __init__(self):
        self.client_id = "watcher"
        self.said = []

    def send_progress_text(self, text, node_id, sid=None):
        """Write on a node."""
        self.said.append((node_id, text, sid))


PromptServer.instance = PromptServer()
