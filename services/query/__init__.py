"""Query: what clients and the Backoffice read. Decides nothing."""
