"""Tests of the configuration: what is refused, and how; what is accepted, and what it becomes."""
