"""Tests: data first, then properties, then the real thing."""
