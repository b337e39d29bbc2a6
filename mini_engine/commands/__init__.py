"""What `python -m mini_engine COMMAND` runs: each module has add_arguments(parser) and run(args)."""
