"""Tests of the notification channels and workers."""
