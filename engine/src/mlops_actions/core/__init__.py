"""Errors, paths, typed params, git and GitHub: what every room stands on, without pandas."""
