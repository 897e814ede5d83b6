"""The stores: journal, state database, outbox, roll-ups and lock, on real files and with real processes."""
