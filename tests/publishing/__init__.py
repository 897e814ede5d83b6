"""Tests of what is published into a broker: recordings, journals, crowds of devices."""
