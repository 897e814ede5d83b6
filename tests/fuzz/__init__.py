"""Nonsense for everything that reads input: one list of targets, for hypothesis and for atheris."""
