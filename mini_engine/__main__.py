"""Command line: `python -m mini_engine COMMAND …`."""

import argparse
import importlib
import os
import sys

# each is a module of mini_engine.commands with add_arguments(parser) and run(args) -> exit code
COMMANDS = ("generate", "capacity", "quality", "serve", "load-test", "check-run", "bench")


def main(argv=None):
    """Run one command. Returns its exit code; what the user can fix is one line on stderr and exit code 1."""
    top = argparse.ArgumentParser(prog="python -m mini_engine", description="A small LLM inference engine.")
    top.add_argument("command", choices=COMMANDS, help=f"one of: {', '.join(COMMANDS)}; COMMAND --help says more")
    top.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = top.parse_args(argv)
    # only the chosen one is imported: `capacity` needs no torch, `generate` no web server
    module = importlib.import_module(f"mini_engine.commands.{chosen.command.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"python -m mini_engine {chosen.command}", description=module.__doc__)
    module.add_arguments(parser)
    args = parser.parse_args(chosen.arguments)
    try:
        code = module.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader (head, for instance) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, IndexError, OSError, RuntimeError) as error:
        if os.environ.get("MINI_ENGINE_DEBUG"):
            raise
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"mini_engine {chosen.command}: {first_line}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
