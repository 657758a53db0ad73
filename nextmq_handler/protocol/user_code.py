"""Call code of the app that runs beside a processor: `str()` of an exception, a serializer, a hook.

Whatever it raises, SystemExit and KeyboardInterrupt included, it must not end the process: callers catch
BaseException around it.
"""

from __future__ import annotations


def text_of(value: object) -> str:
    """Return `str(value)`, or words that name the value's class if that raises. Raises nothing."""
    try:
        return str.__str__(str(value))  # a plain str: a subclass may override how it is encoded
    except BaseException:  # noqa: BLE001 - an exception may fail to print itself, or exit
        return f"<{kind_of(value)} cannot be shown>"


def kind_of(value: object) -> str:
    """Return the name of the value's class. Raises nothing."""
    name: str = type.__dict__["__name__"].__get__(type(value))  # a metaclass may override __name__
    return name


def is_interrupt(exc: BaseException) -> bool:
    """Return whether `exc` may be the Ctrl-C that stops this process, which nobody may swallow.

    Python raises it in the main thread, if nothing else handles the signal. Any other KeyboardInterrupt is the
    app's own.
    """
    if type(exc) is not KeyboardInterrupt or exc.args:
        return False
    import signal
    import threading

    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
