"""Tests of the way from the broker into the journal."""
