"""Live outputs and controls beyond the window: a virtual camera, NDI, OSC. Left out of the registry's archive."""

INSTALL = 'pip install -e ".[live]"'
