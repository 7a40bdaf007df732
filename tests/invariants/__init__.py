"""What must hold of an object root and its ledger at any moment, judged as a stranger would: from the files alone.

Nothing here comes from the package, the oracle or the worlds of tests; `check.py` has the table of invariants.
"""

from tests.invariants.check import INVARIANTS, find_violations, find_wrong_answer
from tests.invariants.history import History

__all__ = ["INVARIANTS", "History", "find_violations", "find_wrong_answer"]
