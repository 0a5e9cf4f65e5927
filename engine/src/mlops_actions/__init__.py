"""From rows to a published model: the stages, the review of a change, and the release."""

import os

# Before OpenMP is loaded: threads that wait must sleep. Where cores are shared, as on a CI runner, waiting threads that
# spin make gradient boosting ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
