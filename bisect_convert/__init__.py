"""Find the ops that keep a TensorFlow model from converting to Core ML."""

from bisect_convert.report import Report
from bisect_convert.session import find

__version__ = "0.1.0"
__all__ = ["Report", "__version__", "find"]
