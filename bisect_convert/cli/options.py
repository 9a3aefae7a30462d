"""The command line: its options, and the words for inputs, in the form of `options.pack`. Imports nothing heavy."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from bisect_convert import __version__
from bisect_convert.arguments.compression_steps import STEPS

__all__ = ["FORMATS", "packed_options", "parse"]

FORMATS = ("text", "json", "markdown", "html")
_DTYPES = {
    "float16": "fp16", "float32": "fp32", "float64": "fp64", "int8": "int8", "uint8": "uint8", "int32": "int32",
    "int64": "int64", "bool": "bool",
}  # fmt: skip
_LAYOUTS = ("RGB", "BGR", "GRAYSCALE", "GRAYSCALE_FLOAT16")
_DIMENSION = r"[1-9]\d*(?:\.\.(?:[1-9]\d*)?)?"
_SHAPE = re.compile(rf"{_DIMENSION}(?:[x,]{_DIMENSION})*")

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
    _add_conversion(parser.add_argument_group("as in coremltools.convert"))
    _add_behind(parser.add_argument_group("after the conversion"))
    _add_ours(parser)
    arguments = parser.parse_args(argv)
    arguments.model = arguments.models[0]  # the one, unless there are several
    return arguments


def _add_conversion(group: Any) -> None:
    add: Callable[..., Any] = group.add_argument
    add("--signature", metavar="NAME", help="the signature to convert, of several")
    add("--input", metavar="NAME[:SHAPE[:DTYPE]]", action="append", type=_input, default=[],
        help="an input's shape and dtype; once for each input (see below)")  # fmt: skip
    add("--output", metavar="NAME", action="append", default=[], help="an op to take as output; once for each")
    add(
        "--image",
        metavar="NAME[:KEY=VALUE,...]",
        action="append",
        type=_image,
        default=[],
        help="an input that is an image; keys: scale (a number, or 1/255), bias (a number, or R|G|B), layout (RGB, BGR, ...)",
    )
    add("--classes", metavar="FILE", type=_classes, help="make a classifier; the class labels, one a line")
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
        type=_positive,
        help="how far outputs may be apart, in parts of their largest number",
    )
    behind.add_argument("--against", metavar="OUT.mlpackage", help="compare with this package, made elsewhere")


def _add_ours(parser: argparse.ArgumentParser) -> None:
    search = parser.add_argument_group("search")
    search.add_argument("--first", action="store_true", help="stop at the first finding")
    search.add_argument(
        "--slow",
        metavar="FACTOR",
        type=_factor,
        help="if it converts: show where the time goes, and what takes 1/FACTOR of it",
    )
    search.add_argument("--timeout", metavar="SECONDS", type=_positive, help="time limit of one probe")
    search.add_argument("--memory", metavar="GIB", type=_positive, help="memory limit of one probe")
    search.add_argument(
        "--jobs",
        metavar="N",
        type=_count,
        default=1,
        help="probes, or of several models commands, at once (default: 1)",
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
    search.add_argument("--shell", action="store_true", help="open a prompt with the model as `s`; see help(s) there")
    _add_several(parser.add_argument_group("several models"))
    report = parser.add_argument_group("report")
    report.add_argument("--format", choices=FORMATS, default="text", help="of the report on standard output")
    report.add_argument("--out", metavar="DIR", help="also write report.json, report.html and report.md into DIR")
    report.add_argument(
        "--anonymous", action="store_true", help="with --out: no name of the model in a finding's issue.md"
    )
    report.add_argument("--quiet", action="store_true", help="no progress on standard error")
    report.add_argument("--verbose", action="store_true", help="each probe, and what TensorFlow and coremltools log")


def _add_several(group: Any) -> None:
    group.add_argument(
        "--model-timeout", metavar="SECONDS", type=_positive,
        help="time limit of each model (default: an hour, or 100 times --timeout where that is longer)",
    )  # fmt: skip
    group.add_argument(
        "--dask", metavar="ADDRESS",
        help="search them on the workers of this Dask scheduler, tcp://host:8786, which see the models at the same paths",
    )  # fmt: skip


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
        packed["classifier_config"] = {**labels, "predicted_probabilities_output": None}
    if arguments.pass_pipeline is not None or arguments.skip_pass:
        packed["pass_pipeline"] = {"name": arguments.pass_pipeline or "DEFAULT", "without": arguments.skip_pass}
    if arguments.output:
        packed["outputs"] = [{"kind": "name", "name": name} for name in arguments.output]
    return packed


def _input(text: str) -> dict[str, Any]:
    """Read NAME[:SHAPE[:DTYPE]] from its end."""
    parts = text.split(":")
    data: dict[str, Any] = {"kind": "TensorType"}
    if len(parts) > 1 and parts[-1] in _DTYPES:
        data["dtype"] = _DTYPES[parts.pop()]
    if len(parts) > 1 and _SHAPE.fullmatch(parts[-1]):
        data["shape"] = [_dimension(d) for d in re.split("[x,]", parts.pop())]
        data["static"] = [d if isinstance(d, int) else None for d in data["shape"]]
    elif len(parts) > 1 and parts[-1] != "0":
        raise argparse.ArgumentTypeError(
            f"{parts[-1]!r} in {text!r} is neither a shape, as 1x224x224x3 or 1..8x10, nor one of {', '.join(_DTYPES)}"
        )
    if parts[-1] == "0":
        parts.pop()
    data["name"] = ":".join(parts)
    if not data["name"]:
        raise argparse.ArgumentTypeError(f"{text!r} has no name; write NAME[:SHAPE[:DTYPE]]")
    return data


def _image(text: str) -> dict[str, Any]:
    """Read NAME[:scale=1/255,bias=-1,layout=RGB]; of several biases, one for each channel, `|` stands between."""
    name, _, rest = text.rpartition(":") if "=" in text.rpartition(":")[2] else (text, "", "")
    data: dict[str, Any] = {"kind": "ImageType", "name": name}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        try:
            if key == "scale":
                data["scale"] = _number(value)
            elif key == "bias":
                biases = [_number(v) for v in value.split("|")]
                data["bias"] = biases if len(biases) > 1 else biases[0]
            elif key == "layout" and value.upper() in _LAYOUTS:
                data["color_layout"] = value.upper()
            else:
                raise ValueError
        except (ValueError, ZeroDivisionError):
            raise argparse.ArgumentTypeError(
                f"{part!r} in {text!r} is none of scale=NUMBER, bias=NUMBER, layout={'|'.join(_LAYOUTS)}"
            ) from None
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} has no name; write NAME[:scale=1/255,...]")
    return data


def _number(text: str) -> float:
    over, _, under = text.partition("/")
    return float(over) / (float(under) if under else 1.0)


def _classes(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            labels = [line.rstrip("\r\n") for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    while labels and not labels[-1]:
        labels.pop()
    if not labels:
        raise argparse.ArgumentTypeError(f"{path} holds no label; write one a line")
    return labels


def _dimension(text: str) -> int | dict[str, list[int]]:
    low, dots, high = text.partition("..")
    if not dots:
        return int(low)
    if high and int(high) < int(low):
        raise argparse.ArgumentTypeError(f"the range {text} ends before it starts")
    return {"range": [int(low), int(high) if high else -1, int(low)]}


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return value


def _factor(text: str) -> float:
    if (value := _positive(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is below 1: no section takes more time than the whole")
    return value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 256")
    return int(text)
