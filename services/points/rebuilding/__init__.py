"""The rebuild: a second set of collections, decided again from the archive, compared, switched."""
