"""What survives: the journal of everything received, the state that the core derived from it, and embedded roll-ups.

All three are SQLite files in the state directory, in WAL mode with ``synchronous=FULL``: when a call returns, a power
cut cannot take back what it wrote. Each file has one writing connection.
"""
