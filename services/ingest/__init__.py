"""Ingest: the gateway lets events in, the journal puts them in order for ever."""
