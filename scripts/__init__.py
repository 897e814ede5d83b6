"""Programs for those who work on sensord: what writes generated documents and pictures."""
