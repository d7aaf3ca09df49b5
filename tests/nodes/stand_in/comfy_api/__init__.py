"""Stand-in for the few names of ComfyUI's API that the nodes use; tests/host checks it against the real one."""
