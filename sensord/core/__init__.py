"""The pure core: values in, values out; no clock, no I/O, no randomness.

``Site.step(group)`` is the whole of it: a journal group goes in; transitions, case events and notification
decisions come out. Live running, replay, backtest and rule tests all drive this one function.
"""
