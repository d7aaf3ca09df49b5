"""The training loop, the session around it, and their measurements."""
