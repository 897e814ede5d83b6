"""What people write, made into values: strict schemas, and errors with file, line, column and a hint.

Nothing here talks to a network or keeps state. ``load.load`` is the entrance; the core's own types come out.
"""
