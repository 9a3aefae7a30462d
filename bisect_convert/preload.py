"""Imported once by the fork server, so that each worker starts with tensorflow and coremltools ready.

It only imports: a child forked from a process that has run TensorFlow hangs. The heap is frozen because coremltools
calls `gc.collect` in every conversion, which on TensorFlow's heap takes more time than all the rest.
"""

import gc
import logging

import coremltools  # noqa: F401

import bisect_convert.convert  # noqa: F401
import bisect_convert.loading  # noqa: F401
from bisect_convert import converter

converter.check()
converter.install()
logging.getLogger("coremltools").setLevel(logging.CRITICAL)
gc.collect()
gc.freeze()
