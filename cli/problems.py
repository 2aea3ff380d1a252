"""How a command says what went wrong: one sentence, no trace, a code that is not 0."""


class CommandError(Exception):
    """The text is for the operator: what is wrong and what to do about it."""
