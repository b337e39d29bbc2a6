"""Command line: `python -m mini_engine COMMAND …`."""

import argparse
import importlib
import importlib.util
import os
import sys

# command -> its module, which has add_arguments(parser) and run(args) -> exit code; only the chosen one is imported
COMMANDS = {
    "generate": "mini_engine.generate",
    "capacity": "mini_engine.commands.capacity",
    "quality": "mini_engine.bench.quality",
    "serve": "mini_engine.serve.app",
    "load-test": "mini_engine.bench.load_test",
    "bench": "mini_engine.commands.bench",
}


def main(argv=None):
    """Run one command. Returns its exit code; what the user can mend is one line on stderr and exit code 1."""
    available = [name for name, module in COMMANDS.items() if importlib.util.find_spec(module)]
    top = argparse.ArgumentParser(prog="python -m mini_engine", description="A small LLM inference engine.")
    top.add_argument("command", choices=available, help=f"one of: {', '.join(available)}; COMMAND --help says more")
    top.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = top.parse_args(argv)
    module = importlib.import_module(COMMANDS[chosen.command])
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
