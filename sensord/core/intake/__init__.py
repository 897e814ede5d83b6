"""From journaled records to a batch: codecs, device clocks, repeats."""
