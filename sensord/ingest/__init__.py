"""From the broker and from operators into the journal: receive, commit as a group, then acknowledge."""
