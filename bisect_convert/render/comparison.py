"""What a comparison of original and converted model came to, as sentences without markup."""

from __future__ import annotations

from bisect_convert.render.names import harmless
from bisect_convert.report.findings import NUMBERS, Finding, Remedy
from bisect_convert.report.numbers import Numbers
from bisect_convert.report.report import Report

__all__ = ["compared_headline", "numbers_lines", "proof_of"]

_OUTPUTS = 4


def compared_headline(report: Report) -> str:
    """Return what became of a comparison, in one line without the model's path."""
    count = len(report.findings)
    if report.numbers is None or report.numbers.against is None:
        return f"converts, and computes something else: {count} finding{'s' * (count != 1)}"
    seen = {"differs": "computes something else than", "converts": "agrees with"}
    return f"{seen.get(report.verdict, 'was not compared with')} {harmless(report.numbers.against)}"


def numbers_lines(report: Report) -> tuple[str, ...]:
    """Return what was compared and how far the outputs are apart, where that was asked for.

    >>> numbers_lines(s.hunt())
    ()
    """
    numbers = report.numbers
    if numbers is None:
        return ()
    if not numbers.compared:
        return tuple(f"not compared: {harmless(reason)}" for reason in numbers.not_compared)
    lines = [f"{numbers.precision}, {_inputs(numbers)}: {_apart(numbers)} (tolerance {numbers.tolerance:.2g})"]
    if report.verdict == "differs":
        worst = sorted(numbers.outputs, key=lambda o: -_infinite(o.max_rel))[:_OUTPUTS]
        lines += [
            f"{harmless(o.name)}: off by {_number(o.max_abs)}, where its largest number is {_number(o.scale)}"
            for o in worst
        ]
    elif numbers.headroom is not None and numbers.precision == "float16":
        room = numbers.headroom
        lines.append(f"headroom: {harmless(room.op)} reaches {_number(room.reached)} of {room.limit:.0f}")
    lines += [harmless(numbers.device)] if numbers.device else []
    lines += [f"not compared: {harmless(reason)}" for reason in numbers.not_compared]
    return tuple([*lines, *_compression(numbers)])


def _compression(numbers: Numbers) -> list[str]:
    found = numbers.compression
    if found is None:
        return []
    layers = ", ".join(f"{harmless(layer.op)} {layer.cost:.2g}" for layer in found.layers)
    lines = [f"{found.step} costs {'infinitely much' if found.total is None else f'{found.total:.2g} of scale'}"]
    lines[0] += f"; most of it by itself: {layers}" if layers else ""
    if found.without:
        left = ", ".join(harmless(name) for name in found.without)
        lines.append(f"within {numbers.tolerance:.2g} without the weights of {left}")
    return lines


def _verified(finding: Finding) -> str:
    """Return what was seen of a remedy that is verified."""
    return "evaluated with it, it agrees" if finding.stage == NUMBERS else "a probe converted with it"


def proof_of(remedy: Remedy, finding: Finding) -> str:
    """Return what was tried of a remedy, and what its values were compared on, as it stands in brackets behind it."""
    said = f"verified: {_verified(finding)}" if remedy.verified else remedy.tried
    return harmless(said + f"; {remedy.compared}" * (remedy.compared is not None and remedy.verified))


def _inputs(numbers: Numbers) -> str:
    count, kind = numbers.samples, numbers.inputs
    several = "s" * (count != 1)
    if kind in ("random", "zeros"):
        return f"{count} random input{several}" if kind == "random" else f"{count} input{several} of zeros"
    return f"{count} sample{several}: {harmless(kind)}"


def _apart(numbers: Numbers) -> str:
    worst = max((_infinite(o.max_rel) for o in numbers.outputs), default=0.0)
    if worst == float("inf"):
        return "one gives NaN or infinity where the other has numbers"
    return f"largest difference {worst:.2g} of scale" if worst else "no difference"


def _infinite(number: float | None) -> float:
    return float("inf") if number is None else number


def _number(number: float | None) -> str:
    return "infinitely much" if number is None else f"{number:.4g}"
