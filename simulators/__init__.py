"""Simulated sensors with known truth, and the demonstration."""
