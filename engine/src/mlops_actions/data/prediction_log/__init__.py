"""The prediction log: how a server writes it, and how it is read as tables."""
