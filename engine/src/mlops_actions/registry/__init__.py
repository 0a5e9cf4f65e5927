"""What origin keeps: stored objects, versions, roles, releases, attestations."""
