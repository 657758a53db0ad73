"""What `make` needs of the machine, checked before anything is installed: runs on any Python 3."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file is what says so to an older Python
    found = "{}.{}".format(*sys.version_info[:2])
    sys.exit(f"Python 3.11 or newer is needed; this is {found}. Name another one: make PYTHON=python3.12 ...")

try:
    import ensurepip  # noqa: F401
except ImportError:
    sys.exit(
        "This Python cannot create virtual environments: ensurepip is missing. "
        "On Debian or Ubuntu: apt-get install python{}.{}-venv".format(*sys.version_info[:2])
    )
