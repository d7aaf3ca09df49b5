"""The training loop, the session around it, and what both measure."""
