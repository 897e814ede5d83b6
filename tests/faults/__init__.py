"""Every fault of the catalogue, caused on purpose, and a harness that counts what was lost, doubled or invented."""
