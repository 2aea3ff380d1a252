"""The program: accounts and settings of each tenant, as versions that never change."""
