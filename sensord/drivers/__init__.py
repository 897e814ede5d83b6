"""Drivers: thin loops that feed journal groups to the core and hand on what comes out."""
