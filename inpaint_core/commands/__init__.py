"""The subcommands of `python -m inpaint_core`, one module each with `add_arguments(parser)` and `run(arguments)`."""
