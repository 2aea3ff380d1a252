"""The auditor: everything that the database says, computed again from the journal on."""
