"""Tests of the time-series sinks and their feeder."""
