"""Check what `make` needs before it installs anything. Runs on any Python 3."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file tells an older Python so
    found = "{}.{}".format(*sys.version_info[:2])
    sys.exit(f"Python 3.11 or newer is required; this is {found}. Choose another one: make PYTHON=python3.12 ...")

try:
    import ensurepip  # noqa: F401
except ImportError:
    sys.exit(
        "This Python cannot create virtual environments: ensurepip is missing. "
        "On Debian or Ubuntu: apt-get install python{}.{}-venv".format(*sys.version_info[:2])
    )
