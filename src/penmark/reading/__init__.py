"""From a picture of handwriting to digits: where they are, what they say, how sure that is."""

from __future__ import annotations

from penmark.reading.classifier import default_model
from penmark.reading.reader import read
from penmark.reading.results import Digit, Reading

__all__ = ["Digit", "Reading", "default_model", "read"]
