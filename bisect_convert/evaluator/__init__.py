"""ML programs run in numpy, with TensorFlow's own kernels for what is slow: it knows nothing of searching.

>>> from bisect_convert.evaluator import evaluate
>>> evaluate("model.mlpackage", {"x": x}, precision="float16")
{'Identity': array([[0.25, 0.75]], dtype=float32)}
"""

from __future__ import annotations

from bisect_convert.evaluator.evaluation import evaluate
from bisect_convert.evaluator.program import Unevaluated, run
from bisect_convert.evaluator.reading import program_of

__all__ = ["Unevaluated", "evaluate", "program_of", "run"]
