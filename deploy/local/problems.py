"""What can go wrong with the local stack, each said in one sentence to whoever started it."""


class StackError(Exception):
    """The text says what is wrong and what to do about it."""
