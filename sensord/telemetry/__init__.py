"""What the daemon says about itself: metrics, logs, health, an HTTP server, and word to systemd."""
