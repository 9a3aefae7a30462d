"""The manual page, made from the parser by argparse-manpage: `bisect-convert --man`, and share/man where it is installed."""

from __future__ import annotations

import argparse
import re

from bisect_convert import __version__

__all__ = ["man_page"]

_SHORT = "find the ops that keep a TensorFlow model from converting to Core ML"
#: A number and what it stands for, of several in a line.
_MEANING = re.compile(r"(\d)  (\S.*?)(?=\s{2,}\d  |$)", re.MULTILINE)


def man_page(parser: argparse.ArgumentParser) -> str:
    """Return the page in troff, the same for the same parser on any day; raises ImportError without argparse-manpage."""
    from argparse_manpage.manpage import Manpage

    usage, epilog = parser.usage or "", parser.epilog or ""
    parser.epilog = None  # its parts are sections of their own
    page = Manpage(parser, {"project_name": "bisect-convert", "version": __version__, "description": _SHORT})
    page.date, page.manual = "", "User Commands"
    calls = [line.split(" ", 1) for line in usage.split("\n       ")]
    page.add_section("synopsis", "=", "\n.br\n".join(f".B {_plain(name)}\n{_plain(rest)}" for name, rest in calls))
    for paragraph in epilog.strip().split("\n\n"):
        heading, _, body = paragraph.partition(":\n")
        page.add_section(heading, "=", _told(body))
    return str(page)


def _told(body: str) -> str:
    """The words of a section: a list where they say what numbers mean."""
    meanings = _MEANING.findall(body)
    return "\n".join(f".TP\n.B {n}\n{_plain(words)}" for n, words in meanings) or _plain(" ".join(body.split()))


def _plain(words: str) -> str:
    """The words with nothing in them that troff takes for its own."""
    return re.sub("^([.'])", r"\\&\1", words.replace("\\", r"\e").replace("-", r"\-"))
