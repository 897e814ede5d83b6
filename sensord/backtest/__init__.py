"""Backtests: the same recording under two sets of rules, and what differs."""
