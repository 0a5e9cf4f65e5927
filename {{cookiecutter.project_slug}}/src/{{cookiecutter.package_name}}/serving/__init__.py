"""Published versions that answer requests: as champion, canary or shadow."""
