"""What a session does to get a converted model: patches of the user's own, and edits that are known."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from bisect_convert.errors import UsageError
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import destination
from bisect_convert.fix.patches import Patch, patch_of
from bisect_convert.report.fix import Fix
from bisect_convert.session.workspace import Workspace

__all__ = ["Fixing"]


class Fixing:
    """The part of a session that changes its model."""

    _workspace: Workspace
    _patches: dict[str, Patch]

    def patch(self, target: str, function: Callable[..., Any]) -> Fix:
        """Put a TensorFlow function in the place of an op, or of all ops of a type, and say what came of it.

        function: takes the op's inputs and returns its outputs, of the same dtypes. It stays for `fix`, and takes the place
        of an earlier one for the same target. Of the answer, `converted` says whether the whole model converts now,
        `edits` where it was put and how equal its values are. Raises UsageError where there is no such op.

        >>> import tensorflow as tf
        >>> def erfc(x):
        ...     return 1.0 - tf.math.erf(x)
        >>> print(s.patch("Erfc", erfc))
        converted, with 1 edit
          `act/Erfc`: erfc in its place (largest difference ... of scale)
          outputs: largest difference ... of scale on 4 sets of inputs
        """
        known = {n for g in self._workspace.model.graphs.values() for op in g.ops.values() for n in (op.name, op.type)}
        if target not in known:
            self._workspace.find(target, None)
            raise UsageError(f"the model has no op and no op type {target!r}")
        self._patches[target] = patch_of(target, function)
        return fixed(self._workspace.run, None, tuple(self._patches.values()), search=False)

    def fix(self, out: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> Fix:
        """Edit the model until it converts, with the patches and all edits that are known; write it to `out` if given.

        Beside `out` stands OUT.fix.py, a script that makes it again. Options that the search found to help are used, so
        `hunt` first. Raises UsageError where nothing can be written there, or something is there already.

        >>> s.fix().converted
        True
        """
        run = self._workspace.run
        place = None if out is None else destination(os.fspath(out), run.packed, overwrite=overwrite)
        return fixed(run, place, tuple(self._patches.values()))
