"""The studio's HTTP and WebSocket interface, a file for each part of the page."""
