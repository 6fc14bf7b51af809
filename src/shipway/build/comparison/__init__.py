"""Two releases, revisions or images -> what changed between them, in words."""
