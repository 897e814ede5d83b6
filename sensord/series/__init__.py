"""Time-series sinks over the network, and the feeder that follows the journal into any sink.

A sink has its own cursor over the journal: a database that is down holds nothing up but itself.
"""
