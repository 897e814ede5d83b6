"""What the commands of ``sensord`` do besides running the daemon.

``options`` and the modules that end in ``cli``, with ``offline`` and ``vehicles``, read arguments; each of their
commands calls one function of the others.
"""
