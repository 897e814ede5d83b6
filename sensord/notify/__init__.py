"""Channels that reach people, and the workers that carry the outbox to them, one a channel."""
