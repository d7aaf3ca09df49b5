"""The web page: fill holes and translate pictures in a browser. Start it with `python -m demo`."""
