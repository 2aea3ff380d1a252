"""The whole of Laurel over HTTP: every service a process, on real servers."""
