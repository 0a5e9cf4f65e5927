"""The one exception that a user is meant to see."""


class UserError(Exception):
    """A mistake that the user can mend; its text is the one sentence shown: what, where, what to do."""
