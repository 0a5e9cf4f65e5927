"""Live traffic: the server with champion, canary and shadow."""
