"""Evaluation, figures and the HTML report. Heavy libraries are imported when they are needed."""

from __future__ import annotations

from penmark.report.evaluation import Evaluation
from penmark.report.html import write_figures, write_report

__all__ = ["Evaluation", "write_figures", "write_report"]
