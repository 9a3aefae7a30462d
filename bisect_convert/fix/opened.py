"""Converted models in the caller's own process, and where their files stay for as long as it lives."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["kept_folder", "opened"]


def kept_folder() -> Path:
    """Return a new folder that goes when this process ends: an MLModel reads its weights where it was opened."""
    folder = Path(tempfile.mkdtemp(prefix="bisect-convert-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def opened(path: Path, *, skip_model_load: bool = False) -> Any:
    """Return the package as an `MLModel`; imports coremltools."""
    import coremltools as ct

    return ct.models.MLModel(str(path), skip_model_load=skip_model_load)
