"""The prompt: a session as `s` in IPython or Python's own console (`run`), or one probe a key press (`step`)."""

from __future__ import annotations

import builtins
import code
import contextlib
import importlib.util
import re
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from bisect_convert.errors import BisectConvertError
from bisect_convert.model.outcome import Outcome
from bisect_convert.report.report import Report
from bisect_convert.session.journal import Step
from bisect_convert.session.section import Section
from bisect_convert.session.session import Session

__all__ = ["complete", "interact", "run", "show", "step"]

_HELP = """\
s is the session on {path}, {ops} ops. Ask: s.hunt()  s.step()  s.journal  s.findings; help(s) tells all, Ctrl-D ends.
Cut: s.ops("*/attention/*")  s.prefix("op")  s.section("from", "to")  s.around("op", 2)  s.without("op"), join by | - &
Each section: .convert()  .run(inputs)  .save("dir")  .draw()  .graph_def; Tab completes op names within quotes."""
_STRING = re.compile(r"""["']([^"']*)$""")
_KEYS = {"": "ask", "\r": "ask", "\n": "ask", " ": "ask", "y": "yes", "n": "no", "s": "skip", "a": "all", "q": "quit"}


def run(session: Session, *, ipython: bool | None = None) -> None:
    """Open a prompt with the session as `s` until it is left; IPython where it is installed (or as `ipython` says).

    >>> run(s)  # doctest: +SKIP
    """
    names: dict[str, Any] = {"s": session, "Session": Session, "Section": Section}
    banner = _HELP.format(path=session.model.path or "a model in memory", ops=session.model.ops)
    if ipython is None:
        ipython = importlib.util.find_spec("IPython") is not None
    (_run_ipython if ipython else _run_console)(session, names, banner)


def complete(session: Session, line: str) -> list[str]:
    """Return the op names that the string at the end of the line may become; none where no string is open.

    >>> complete(s, 's.prefix("dense/')
    ['dense/MatMul', 'dense/Relu']
    """
    outside = re.sub(r"""(["'])(?:(?!\1).)*\1""", "", line)
    if (match := _STRING.search(outside)) is None:
        return []
    return [name for graph in session.model.graphs.values() for name in graph.order if name.startswith(match[1])]


def show(value: Any) -> str:
    """Return what the prompt shows of a value: reports and outcomes in words, not as data.

    >>> show(s.ops("act/Erfc").convert())
    "fails in lowering, NotImplementedError: Conversion for TF op 'Erfc' not implemented."
    """
    return str(value) if isinstance(value, (Outcome, Report, Step)) else repr(value)


def _run_ipython(session: Session, names: dict[str, Any], banner: str) -> None:
    from IPython.terminal.ipapp import TerminalIPythonApp
    from traitlets.config import Config

    config = Config()
    config.TerminalInteractiveShell.banner1 = banner + "\n"
    config.TerminalInteractiveShell.confirm_exit = config.TerminalInteractiveShell.enable_tip = False
    app: Any = TerminalIPythonApp.instance(user_ns=names, config=config)
    app.initialize([])
    shell = app.shell

    def ops(text: str) -> list[str]:
        """Only what follows the part of the name that IPython takes for a word of its own is given back."""
        line = shell.Completer.text_until_cursor
        typed = len(line) - 1 - max((line.rfind(quote) for quote in "\"'"), default=-1)
        return [name[typed - len(text) :] for name in complete(session, line)]

    def told(shell: object, kind: type, error: BaseException, trace: object, tb_offset: object = None) -> None:
        print(f"{kind.__name__}: {error}", file=sys.stderr)

    shell.set_custom_exc((BisectConvertError,), told)
    shell.Completer.custom_matchers.append(ops)
    app.start()


def _run_console(session: Session, names: dict[str, Any], banner: str) -> None:
    def displayed(value: Any) -> None:
        if value is not None:
            print(show(value))
            builtins._ = value  # type: ignore[attr-defined]

    before, sys.displayhook = sys.displayhook, displayed
    try:
        with contextlib.suppress(ImportError):
            _complete_with_readline(session, names)
        _console(names).interact(banner=banner, exitmsg="")
    finally:
        sys.displayhook = before


def _console(names: dict[str, Any]) -> code.InteractiveConsole:
    """Python's own, which tells our errors, as of a misspelt op, in their one line."""
    console = code.InteractiveConsole(names)
    usual = console.showtraceback

    def told() -> None:
        error = sys.exc_info()[1]
        if isinstance(error, BisectConvertError):
            console.write(f"{type(error).__name__}: {error}\n")
        else:
            usual()

    console.showtraceback = told  # type: ignore[method-assign]
    return console


def _complete_with_readline(session: Session, names: dict[str, Any]) -> None:
    import readline
    import rlcompleter

    python = rlcompleter.Completer(names)

    def completer(text: str, state: int) -> str | None:
        line = readline.get_line_buffer()[: readline.get_endidx()]
        if _STRING.search(re.sub(r"""(["'])(?:(?!\1).)*\1""", "", line)) is None:
            return python.complete(text, state)
        found = complete(session, line)
        return found[state] if state < len(found) else None

    readline.set_completer_delims(" \t\n\"'()[]{}=,;|&+*<>")
    readline.set_completer(completer)
    readline.parse_and_bind("tab: complete")


def interact(model: str, options: Mapping[str, Any], ours: Mapping[str, Any], *, stepwise: bool) -> Report | None:
    """Open the model for the command, in a prompt (which returns None) or step by step, and return the report.

    >>> interact("model.pb", {"convert_to": "mlprogram"}, {"signature": None}, stepwise=False)  # doctest: +SKIP
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Session(model, **ours, **options) as session:
        if not stepwise:
            run(session)
            return None
        report = step(session)
        print()
        return report


def step(session: Session, *, keys: Callable[[], str] | None = None, out: TextIO | None = None) -> Report:
    """Walk through the search, one probe a key press, and return the report; "q", Ctrl-C and the end of input stop it.

    >>> import io, sys
    >>> answers = iter(["", "q"])
    >>> report = step(s, keys=lambda: next(answers), out=sys.stdout)
    Enter asks the converter; y yes, n no, s skip answer in its place; a asks all the rest, q stops.
    1. the whole model (7 ops)
       control: does it fail at all, and how? That failure is the target
       does it convert? fails, NotImplementedError: Conversion for TF op 'Erfc' not implemented.
    2. act/Erfc alone (1 op)
       locate: the converter names it; a hint is no evidence until it fails on its own
       does it fail in the same way? stopped
    """
    stream = sys.stdout if out is None else out
    read = _key if keys is None else keys
    print(
        "Enter asks the converter; y yes, n no, s skip answer in its place; a asks all the rest, q stops.", file=stream
    )
    while (ahead := session.ahead) is not None:
        print(
            f"{ahead}\n   does it {'fail in the same way' if ahead.targeted else 'convert'}?",
            end=" ",
            file=stream,
            flush=True,
        )
        said = _said(read)
        if said == "quit":
            print("stopped", file=stream)
            break
        if said == "all":
            print("all the rest", file=stream)
            session.hunt()
            break
        answer = {"yes": "fails", "no": "converts"} if ahead.targeted else {"yes": "converts", "no": "fails"}
        try:
            taken = session.step({**answer, "skip": "skip"}.get(said))
        except BisectConvertError as error:
            print(error, file=stream)
            continue
        if taken is not None:
            print(f"{taken.verdict}{f', {taken.detail}' if taken.detail != taken.verdict else ''}", file=stream)
    return session.report


def _said(read: Callable[[], str]) -> str:
    """The next key that means something; a key too many is no answer."""
    while True:
        try:
            key = read()
        except (EOFError, KeyboardInterrupt, StopIteration):
            return "quit"
        if (word := _KEYS.get(key.lower())) is not None:
            return word
        if key == "\x04":
            return "quit"


def _key() -> str:
    """One key press on a terminal, else the first letter of a line."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()[:1]
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        return sys.stdin.read(1)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
