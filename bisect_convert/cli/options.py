"""The command line: its options, and what is made of them, in the form of `options.pack`. Imports nothing heavy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from bisect_convert import __version__
from bisect_convert.arguments.compression_steps import STEPS
from bisect_convert.cli.values import class_labels, count, factor, image_type, input_type, positive

__all__ = ["FORMATS", "packed_options", "parse"]

FORMATS = ("text", "json", "markdown", "html")

_EPILOG = """\
inputs:
  NAME alone keeps what the model says. A dimension is a size or a range: --input image:1x1..512x1..512x3:float32;
  1,224,224,3 is read like 1x224x224x3, and 1.. is a range without an end. What stands before the last one or two
  parts that are a shape or a dtype is the name, so that x:0 is a name too. dtypes: float16, float32, int32, ...

exit status:
  0  the model converts, and computes the same         1  it does not, and the report has the findings
  2  bad usage, or a model that cannot be read         3  inconclusive, or stopped
"""


class _Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"bisect-convert: error: {message}; see bisect-convert --help\n")


class _Version(argparse.Action):
    """Prints what is installed, without importing it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from bisect_convert.model.installed import versions

        found = ", ".join(f"{name} {version or 'not installed'}" for name, version in versions().items())
        print(f"bisect-convert {__version__} ({found})")
        parser.exit(0)


class _Completion(argparse.Action):
    """Prints what a shell completes the command with."""

    def __call__(self, parser: argparse.ArgumentParser, _: object, values: Any, option: str | None = None) -> NoReturn:
        try:
            import shtab
        except ImportError:
            parser.error("--completion needs shtab: pip install 'bisect-convert[completion]'")
        print(shtab.complete(parser, values))
        parser.exit(0)


class _Man(argparse.Action):
    """Prints the manual page."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from bisect_convert.cli.man_page import man_page

        try:
            page = man_page(parser)
        except ImportError:
            parser.error("--man needs argparse-manpage: pip install 'bisect-convert[completion]'")
        sys.stdout.write(page)
        parser.exit(0)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; ends the process with one line and status 2 where they cannot be understood."""
    parser = _Parser(
        prog="bisect-convert",
        usage="bisect-convert MODEL... [options]\n       bisect-convert doctor",
        description="Find the ops that keep a TensorFlow model from converting to Core ML: which, where, whether\n"
        "these are all, and the smallest section that shows each.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_first(parser)
    _add_conversion(parser.add_argument_group("as in coremltools.convert"))
    _add_behind(parser.add_argument_group("after the conversion"))
    _add_ours(parser.add_argument_group("search"))
    _add_several(parser.add_argument_group("several models"))
    _add_report(parser.add_argument_group("report"))
    arguments = parser.parse_args(argv)
    arguments.model = arguments.models[0]  # the one, unless there are several
    return arguments


def _add_first(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="a SavedModel folder, a .keras or .h5 file, or a frozen .pb; of several, or of a folder of them, a summary",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the versions of this and of what it leans on")
    parser.add_argument(
        "--completion", action=_Completion, choices=("bash", "zsh", "tcsh"),
        help="print what completes this command in a shell: source <(bisect-convert --completion bash)",
    )  # fmt: skip
    parser.add_argument("--man", action=_Man, nargs=0, help="print the manual page of this command, in troff")


def _add_conversion(group: Any) -> None:
    add: Callable[..., Any] = group.add_argument
    add("--signature", metavar="NAME", help="the signature to convert, of several")
    add("--input", metavar="NAME[:SHAPE[:DTYPE]]", action="append", type=input_type, default=[],
        help="an input's shape and dtype; once for each input (see below)")  # fmt: skip
    add("--output", metavar="NAME", action="append", default=[], help="an op to take as output; once for each")
    add(
        "--image",
        metavar="NAME[:KEY=VALUE,...]",
        action="append",
        type=image_type,
        default=[],
        help="an input that is an image; keys: scale (a number, or 1/255), bias (a number, or R|G|B), layout (RGB, BGR, ...), "
        "channels (first, last)",
    )
    add("--classes", metavar="FILE", type=class_labels, help="make a classifier; the class labels, one a line")
    add("--probabilities", metavar="OUTPUT", help="with --classes: the output with a value for each class, of several")
    add(
        "--state",
        metavar="NAME",
        action="append",
        default=[],
        help="a variable that the model assigns, as a state of Core ML",
    )
    add("--pass-pipeline", metavar="NAME", help="one of coremltools' own pipelines: DEFAULT, EMPTY, CLEANUP, ...")
    add("--skip-pass", metavar="NAME", action="append", default=[], help="a pass to leave out; once for each")
    add("--convert-to", choices=("mlprogram", "neuralnetwork", "milinternal"), help="the kind of model to make")
    add("--minimum-deployment-target", metavar="TARGET", help="iOS17, macOS14, ...")
    add("--compute-precision", choices=("float16", "float32"), type=str.lower, help="of an mlprogram")


def _add_behind(behind: Any) -> None:
    behind.add_argument(
        "--optimize", choices=tuple(STEPS),
        help="also compress the weights, with coremltools.optimize: linear_quantize_weights to int8, palettize_weights "
        "by k-means to 4 bits, or prune_weights by magnitude to half",
    )  # fmt: skip
    behind.add_argument(
        "--fix", metavar="OUT.mlpackage",
        help="convert it, with edits of its graph where it needs them that change none of its results, and write the model\n"
        "and OUT.fix.py, which makes it again; .mlmodel for a neuralnetwork",
    )  # fmt: skip
    behind.add_argument("--overwrite", action="store_true", help="let --fix replace what is there")
    behind.add_argument(
        "--numbers", metavar="FILE.npz|DIR|random|zeros|off", default=None,
        help="the inputs on which a model that converts is compared with its original (default: assets.extra/sample.npz "
        "of a SavedModel, else random ones)",
    )  # fmt: skip
    behind.add_argument(
        "--tolerance",
        metavar="X",
        type=positive,
        help="how far outputs may be apart, in parts of their largest number",
    )
    behind.add_argument("--against", metavar="OUT.mlpackage", help="compare with this package, made elsewhere")


def _add_ours(search: Any) -> None:
    search.add_argument("--first", action="store_true", help="stop at the first finding")
    search.add_argument(
        "--slow",
        metavar="FACTOR",
        type=factor,
        help="if it converts: show where the time goes, and what takes 1/FACTOR of it",
    )
    search.add_argument("--timeout", metavar="SECONDS", type=positive, help="time limit of one probe")
    search.add_argument("--memory", metavar="GIB", type=positive, help="memory limit of one probe")
    search.add_argument(
        "--jobs", metavar="N", type=count, default=1, help="probes, or models, that may be asked at once (default: 1)"
    )
    kept = search.add_mutually_exclusive_group()
    kept.add_argument(
        "--cache", metavar="DIR", help="where outcomes are kept for later runs (default: the user's cache)"
    )
    kept.add_argument("--no-cache", action="store_true", help="neither read nor keep outcomes")
    search.add_argument(
        "--allow-code", action="store_true", help="load Keras files that hold Python code, which runs (Lambda layers)"
    )
    search.add_argument(
        "--import", dest="imports", metavar="MODULE", action="append", default=[],
        help="import this Python module first, whose code runs: its layer classes are found, and the conversions that it "
        "registers with coremltools; once for each",
    )  # fmt: skip
    search.add_argument("--no-run", action="store_true", help="execute nothing of the model's graphs in TensorFlow")
    search.add_argument("--step", action="store_true", help="walk through the search, one probe a key press")
    search.add_argument(
        "--watch", action="store_true", help="ask again each time the model's files have changed, until Ctrl-C"
    )
    search.add_argument("--shell", action="store_true", help="open a prompt with the model as `s`; see help(s) there")


def _add_several(group: Any) -> None:
    group.add_argument(
        "--model-timeout", metavar="SECONDS", type=positive,
        help="time limit of each model (default: an hour, or 100 times --timeout where that is longer)",
    )  # fmt: skip
    group.add_argument(
        "--dask", metavar="ADDRESS",
        help="search them on the workers of this Dask scheduler, tcp://host:8786, which see the models at the same paths",
    )  # fmt: skip


def _add_report(report: Any) -> None:
    report.add_argument("--format", choices=FORMATS, default="text", help="of the report on standard output")
    report.add_argument("--out", metavar="DIR", help="also write report.json, report.html and report.md into DIR")
    report.add_argument(
        "--model-explorer", metavar="FILE.json",
        help="also write the graph with the verdicts, and FILE.verdicts.json, which Model Explorer lays over it",
    )  # fmt: skip
    report.add_argument(
        "--tensorboard", metavar="LOGDIR", help="also write the graph and the findings as a run of TensorBoard"
    )
    report.add_argument(
        "--anonymous", action="store_true", help="with --out: no name of the model in a finding's issue.md"
    )
    report.add_argument(
        "--pager", action="store_true", help="on a terminal, show a text report in $PAGER, else in less"
    )
    report.add_argument("--quiet", action="store_true", help="no progress on standard error")
    report.add_argument("--verbose", action="store_true", help="each probe, and what TensorFlow and coremltools log")


def packed_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `ct.convert` as plain data, in the form of `options.pack`."""
    packed: dict[str, Any] = {}
    for name in ("convert_to", "minimum_deployment_target", "compute_precision", "optimize"):
        if (value := getattr(arguments, name)) is not None:
            packed[name] = value
    if arguments.input or arguments.image:
        packed["inputs"] = [*arguments.input, *arguments.image]
    if arguments.classes is not None:
        labels = {"class_labels": arguments.classes, "predicted_feature_name": "classLabel"}
        packed["classifier_config"] = {**labels, "predicted_probabilities_output": arguments.probabilities}
    if arguments.state:
        packed["states"] = arguments.state
    if arguments.pass_pipeline is not None or arguments.skip_pass:
        packed["pass_pipeline"] = {"name": arguments.pass_pipeline or "DEFAULT", "without": arguments.skip_pass}
    if arguments.output:
        packed["outputs"] = [{"kind": "name", "name": name} for name in arguments.output]
    return packed
