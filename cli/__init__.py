"""`laurel`, the command of whoever runs the platform."""
