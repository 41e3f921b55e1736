"""Evaluation, figures and the HTML report; each is imported from its own module."""
