"""The instructor's commands: python -m autograder <audit|demo> --help."""

import argparse
import importlib
import sys

COMMANDS = {
    "audit": ("autograder.audit_tool", "score the bank of answers and every mutant: do the tests catch what is wrong?"),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m autograder", description="The instructor's commands.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, (module, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        importlib.import_module(module).add_arguments(subparser)
    options = parser.parse_args(arguments)
    return importlib.import_module(COMMANDS[options.command][0]).run(options)


if __name__ == "__main__":
    sys.exit(main())
