"""What ends the demo."""


class DemoError(Exception):
    """A promise that was not kept, in one sentence."""
