"""sensord: from a sensor's message to a person's phone, until the crowd has dispersed."""

__version__ = "0.1.0"
