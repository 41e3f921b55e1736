"""Trained models for other programs: ONNX, LiteRT for phones, and a web page that draws and reads.

Every export is compared with the Keras model before it is written, and carries a model card.
"""

from __future__ import annotations

from penmark.export.exported import Exported, Form
from penmark.export.litert import to_litert
from penmark.export.onnx_file import to_onnx
from penmark.export.web_page import to_web

__all__ = ["Exported", "Form", "to_litert", "to_onnx", "to_web"]
