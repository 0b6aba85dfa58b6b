"""The dashboard: lamina in a browser, over the daemon's public API."""
