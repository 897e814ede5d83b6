"""Tests of what the daemon says about itself."""
