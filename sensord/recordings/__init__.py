"""Recordings: stretches of journal as files, to replay, cut, merge, anonymise and hand on.

A recording is a folder with a checksummed ``manifest.json``; or, simpler, one file of JSON lines.
"""
