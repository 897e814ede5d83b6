"""Rules: windows, values, ladders; the engine that turns batches into transitions of alerts."""
