"""The HTTP interface: the REST API, the pages behind the links in messages, health and metrics."""
