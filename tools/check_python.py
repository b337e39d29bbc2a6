"""Say in one line what is wrong with this Python, before pip says it in two hundred."""

import sys

LOWEST, HIGHEST = (3, 11), (3, 13)

if not LOWEST <= sys.version_info[:2] <= HIGHEST:
    sys.exit(
        "The course needs Python 3.11, 3.12 or 3.13; {} is {}.{}. Name another: make PYTHON=python3.12 book".format(
            sys.executable, *sys.version_info[:2]
        )
    )
try:
    import ensurepip  # noqa: F401
    import venv  # noqa: F401
except ImportError:
    sys.exit(f"{sys.executable} has no venv module. On Debian and Ubuntu: apt-get install python3-venv")
