"""From rows to a published model: the stages, the review of a change, and the release."""
