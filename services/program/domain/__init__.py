"""What may change in a program, and what a change changes besides."""
