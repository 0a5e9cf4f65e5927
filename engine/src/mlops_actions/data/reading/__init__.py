"""Rows out of files of any kind, nothing interpreted."""
