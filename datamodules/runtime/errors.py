"""What a user can mend."""


class UserError(ValueError):
    """Names the thing, the value and the rule; the command line prints it without a traceback."""
