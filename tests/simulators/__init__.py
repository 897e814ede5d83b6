"""Tests of the simulated street and of the demonstration's parts."""
