"""Ops whose weights the step behind the conversion may leave as they are, probed on the witness."""

from __future__ import annotations

from bisect_convert.arguments.as_code import step_code
from bisect_convert.arguments.compression_steps import step_of
from bisect_convert.explain.case import Case
from bisect_convert.explain.model_causes import endless_constant
from bisect_convert.model.outcome import Stage
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Remedy
from bisect_convert.report.questions import Kind

__all__ = ["weight_remedies"]


def weight_remedies(case: Case, prober: Prober) -> list[Remedy]:
    """Return the configuration that leaves the failing op's weights out, where the witness passes the step with it."""
    signature, hint = case.found.failure.signature, case.found.failure.hint
    if signature.stage is not Stage.OPTIMIZE or not hint or not (signature.pass_name or "").startswith("compression::"):
        return []
    step, left_out = step_of(prober.options["optimize"])
    wanted = {"step": step, "without": [*left_out, hint[-1].name]}
    options = {**prober.options, "optimize": wanted}
    if not prober.trial(
        case.found.witness, Kind.REMEDY.asks(f"{step} without {hint[-1].name}"), options=options
    ).converted:
        return []
    summary = f"leave the weights of `{hint[-1].name}` out of the step: the failing section converts then"
    found = [Remedy("option", summary, True, step_code(wanted))]
    if endless_constant(case) and "NaN" in case.message and "infinity" not in case.message:
        found.append(Remedy("rewrite", "give the constant numbers: NaN in a weight comes of a training that diverged"))
    elif endless_constant(case):
        code = "mask = tf.maximum(mask, -1e4)  # finite, and as good as minus infinity for a softmax, in float16 too\n"
        found.append(Remedy("rewrite", "give the constant finite values", code=code))
    return found
