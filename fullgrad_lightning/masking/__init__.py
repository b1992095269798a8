"""Ranking, selection and replacement of pixels."""
